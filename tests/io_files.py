"""Files made by hand, to see what becomes of them."""

import hashlib
import json
import struct


def container(header, data=b""):
    """A safetensors file with this header, a dict or bytes."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def forged(content, tensors=None, data=b"", text=None):
    """A file of haema's with this content and a checksum that is right."""
    text = json.dumps(content) if text is None else text
    tensors = tensors or {}
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        dtype, shape, (start, end) = tensors[name]
        total.update(json.dumps([name, dtype, shape]).encode())
        total.update(data[start:end])
    header = {"__metadata__": {"haema": f"{total.hexdigest()} {text}"}}
    for name, (dtype, shape, offsets) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}
    return container(header, data)


def model(architecture, tensors=None, data=b"", **more):
    """A model file of haema's with this architecture."""
    return forged({"format": 1, "kind": "model", "architecture": architecture, **more}, tensors, data)
