"""torchvision's residual network with one block a stage, changed as the paper's released code changes it.

Run in this folder: python resnet9.py. Writes the shape of every weight, and what the network says of made images.
"""

import json
import math
from datetime import date

import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet


def swap(module):
    """Batch norm becomes group norm of 32 groups, ReLU becomes Mish."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(32, child.num_features))
        elif isinstance(child, nn.ReLU):
            setattr(module, name, nn.Mish())
        else:
            swap(child)


model = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=8)
swap(model)
with torch.no_grad():
    for name, weight in model.named_parameters():
        place = torch.arange(weight.numel(), dtype=torch.float64)
        wave = torch.sin(0.37 * place + len(name)) / math.sqrt(weight[0].numel() if weight.ndim > 1 else 1)
        weight.copy_(wave.reshape(weight.shape))
    place = torch.arange(2 * 3 * 64 * 64, dtype=torch.float64)
    images = torch.sin(0.011 * place + 0.5).reshape(2, 3, 64, 64).float()
    logits = model.double().eval()(images.double())
result = {
    "made_by": "tests/reference/resnet9.py",
    "date": str(date.today()),
    "versions": {module.__name__: module.__version__.split("+")[0] for module in (torchvision, torch)},
    "n_weights": sum(weight.numel() for weight in model.parameters()),
    "shapes": {name: list(weight.shape) for name, weight in model.named_parameters()},
    "logits": logits.tolist(),
}
with open("resnet9.json", "w") as file:
    json.dump(result, file, indent=1)
    file.write("\n")
