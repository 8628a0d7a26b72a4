"""Which network, loss, optimizer and how long, for the data at hand.

    data                                           network, unless --model says otherwise
    grey images up to 16 x 16 pixels               MLP 256-128, ReLU, dropout 0.3
    classes of others from 8 x 8 to 64 x 64        `haema.models.fast`; see `haema.train.plans.images`
    all other images                               `haema.models.cnn`
    tables                                         smooth and stepwise MLPs, several of each; see `haema.train.tables`
    arrays                                         MLP 128-64, ReLU, dropout 0.1

The fast network is trained by SGD with Nesterov momentum, the others by AdamW, each over one cycle of the rate.
All choices are in the `Plan`, none elsewhere.

Source: L. Smith, N. Topin (2017), Super-convergence, arXiv:1708.07120 (the cycle).
"""

from haema.train.plans.choosing import MODELS, RECIPES, plan_for
from haema.train.plans.images import ImagePlan, augmentation_for
from haema.train.plans.plan import MAX_PARAMETERS, Plan, ScaledMSE

__all__ = ["MAX_PARAMETERS", "MODELS", "RECIPES", "ImagePlan", "Plan", "ScaledMSE", "augmentation_for", "plan_for"]
