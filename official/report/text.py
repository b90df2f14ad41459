"""Text in pictures."""

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def font(size: int = 12) -> Font:
    """The font of all pictures."""
    return ImageFont.load_default(size)


def shortened(line: str, width: int, used: Font) -> str:
    """As much of a line as fits a width in pixels, its end marked if it was cut."""
    if used.getlength(line) <= width:
        return line
    while line and used.getlength(f"{line}…") > width:
        line = line[:-1]
    return f"{line.rstrip()}…"
