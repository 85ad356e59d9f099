import torch


class InsertJointMap:
    def __init__(self, imsize):
        self.imsize = imsize

    def __call__(self, batch):
        return batch | {"joint_map": torch.zeros(len(batch["img"]), 1, *self.imsize, dtype=torch.uint8)}
