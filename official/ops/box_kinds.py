"""What boxes are to a detector, in data, targets and metrics."""

OBJECT, CROWD, DIFFICULT = range(3)
"""One object; many objects in one box (COCO's iscrowd); an object that is hard to make
out (VOC's difficult). Only the first are learned, and a detector is not blamed for what
it finds or leaves out in the others."""

PADDING, NOT_COUNTED = -1, -2
"""In the place of the class of a target: no box; a crowd or a difficult object."""
