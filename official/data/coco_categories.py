"""COCO's own numbers of its panoptic categories."""

# fmt: off
PANOPTIC_IDS = {
    "person": 1, "bicycle": 2, "car": 3, "motorcycle": 4, "airplane": 5, "bus": 6,
    "train": 7, "truck": 8, "boat": 9, "traffic light": 10, "fire hydrant": 11,
    "stop sign": 13, "parking meter": 14, "bench": 15, "bird": 16, "cat": 17, "dog": 18,
    "horse": 19, "sheep": 20, "cow": 21, "elephant": 22, "bear": 23, "zebra": 24,
    "giraffe": 25, "backpack": 27, "umbrella": 28, "handbag": 31, "tie": 32,
    "suitcase": 33, "frisbee": 34, "skis": 35, "snowboard": 36, "sports ball": 37,
    "kite": 38, "baseball bat": 39, "baseball glove": 40, "skateboard": 41,
    "surfboard": 42, "tennis racket": 43, "bottle": 44, "wine glass": 46, "cup": 47,
    "fork": 48, "knife": 49, "spoon": 50, "bowl": 51, "banana": 52, "apple": 53,
    "sandwich": 54, "orange": 55, "broccoli": 56, "carrot": 57, "hot dog": 58,
    "pizza": 59, "donut": 60, "cake": 61, "chair": 62, "couch": 63, "potted plant": 64,
    "bed": 65, "dining table": 67, "toilet": 70, "tv": 72, "laptop": 73, "mouse": 74,
    "remote": 75, "keyboard": 76, "cell phone": 77, "microwave": 78, "oven": 79,
    "toaster": 80, "sink": 81, "refrigerator": 82, "book": 84, "clock": 85, "vase": 86,
    "scissors": 87, "teddy bear": 88, "hair drier": 89, "toothbrush": 90,
    # Stuff.
    "banner": 92, "blanket": 93, "bridge": 95, "cardboard": 100, "counter": 107,
    "curtain": 109, "door-stuff": 112, "floor-wood": 118, "flower": 119, "fruit": 122,
    "gravel": 125, "house": 128, "light": 130, "mirror-stuff": 133, "net": 138,
    "pillow": 141, "platform": 144, "playingfield": 145, "railroad": 147, "river": 148,
    "road": 149, "roof": 151, "sand": 154, "sea": 155, "shelf": 156, "snow": 159,
    "stairs": 161, "tent": 166, "towel": 168, "wall-brick": 171, "wall-stone": 175,
    "wall-tile": 176, "wall-wood": 177, "water-other": 178, "window-blind": 180,
    "window-other": 181, "tree-merged": 184, "fence-merged": 185, "ceiling-merged": 186,
    "sky-other-merged": 187, "cabinet-merged": 188, "table-merged": 189,
    "floor-other-merged": 190, "pavement-merged": 191, "mountain-merged": 192,
    "grass-merged": 193, "dirt-merged": 194, "paper-merged": 195,
    "food-other-merged": 196, "building-other-merged": 197, "rock-merged": 198,
    "wall-other-merged": 199, "rug-merged": 200,
}
# fmt: on
"""By name, of the 133 that are used: 80 things, then 53 kinds of stuff.

https://github.com/cocodataset/panopticapi, panoptic_coco_categories.json.
"""
