"""The works of works.cc for PyTorch, and how they are optimised."""

import collections

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters))
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(),
                         nn.Linear(256, 10))


def tabular():
    return nn.Sequential(nn.Linear(54, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 7))


def cnn():
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10))


def resnet():
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                         Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2),
                         nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10))


def resnet18():
    blocks = []
    for channels, filters in ((64, 64), (64, 128), (128, 256), (256, 512)):
        blocks += [Residual(channels, filters, 1 if channels == filters else 2), Residual(filters, filters, 1)]
    return nn.Sequential(nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), *blocks,
                         nn.AvgPool2d(4), nn.Flatten(), nn.Linear(512, 10))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 128, batch_first=True)
        self.dense = nn.Linear(128, 10)

    def forward(self, x):
        return self.dense(self.lstm(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self, features, heads, context):
        super().__init__()
        self.heads = heads
        self.in_proj = nn.Linear(features, 3 * features)
        self.out_proj = nn.Linear(features, features)
        self.hidden = torch.triu(torch.ones(context, context, dtype=torch.bool), 1)  # gloo sends no bool buffers

    def forward(self, x):
        rows, positions, features = x.shape
        query, key, value = (part.view(rows, positions, self.heads, -1).transpose(1, 2)
                             for part in self.in_proj(x).split(features, 2))
        if hasattr(functional, "scaled_dot_product_attention"):  # from PyTorch 2 on
            mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            scores = query @ key.transpose(2, 3) * (features // self.heads) ** -0.5
            mixed = scores.masked_fill(self.hidden.to(x.device), float("-inf")).softmax(3) @ value
        return self.out_proj(mixed.transpose(1, 2).reshape(x.shape))


class Added(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Transformer(nn.Module):
    def __init__(self, tokens=65, context=64, features=128, heads=4, depth=2):
        super().__init__()
        self.tokens = nn.Embedding(tokens, features)
        self.positions = nn.Parameter(torch.randn(context, features) * 0.02)
        blocks = []
        for _ in range(depth):
            blocks.append(Added(nn.LayerNorm(features), Attention(features, heads, context)))
            blocks.append(Added(nn.LayerNorm(features), nn.Linear(features, 4 * features), nn.GELU(),
                                nn.Linear(4 * features, features)))
        self.rest = nn.Sequential(*blocks, nn.LayerNorm(features), nn.Linear(features, tokens))

    def forward(self, x):
        return self.rest(self.tokens(x) + self.positions).flatten(0, 1)


def gpt():
    return Transformer(50304, 1024, 768, 12, 12)


def sgd(parameters, **how):
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, **how)


# Biases, norms and embeddings of positions decay with the rest here; that costs the same.
def adamw(parameters, **how):
    return torch.optim.AdamW(parameters, lr=0.0003, weight_decay=0.1, **how)


# `make` the network, the shape of a sample, classes. `text`: samples are tokens, told at each position.
Work = collections.namedtuple("Work", "make shape classes text batch optimizer", defaults=(False, 256, sgd))
WORKS = {
    "mlp": Work(mlp, (1, 28, 28), 10),
    "tabular": Work(tabular, (54,), 7),
    "cnn": Work(cnn, (1, 28, 28), 10),
    "resnet": Work(resnet, (3, 32, 32), 10),
    "resnet18": Work(resnet18, (3, 32, 32), 10, batch=512),
    "lstm": Work(Lstm, (28, 28), 10),
    "transformer": Work(Transformer, (64,), 65, text=True),
    "gpt": Work(gpt, (1024,), 50304, text=True, batch=16, optimizer=adamw),
}
