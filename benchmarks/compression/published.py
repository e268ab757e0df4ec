"""Published results, as the papers print them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A row of a paper.

    Parameters
    ----------
    method : str
    ratio : float
        To float32.
    drop : float
        Accuracy lost (unit: percentage point).
    basis : str
        ``payload``: non-zeros times bits. ``stream``: with positions. ``file``: all bytes, but of a
        code that is decoded as a whole before use.
    source : str
    """

    method: str
    ratio: float
    drop: float
    basis: str
    source: str


SQL = "Yang et al., CVPR 2020"
CHOI = "Choi, El-Khamy and Lee, ICLR 2017"
MIRACLE = "Havasi, Peharz and Hernandez-Lobato, ICLR 2019 (0.96 % error)"
SQS = "Yao et al. 2023"
EC2T = "Marban et al. 2020, authors' repository"
PUBLISHED = {
    "lenet5": (
        Published("SQL (1.0 % non-zeros, 1.46 bits)", 2120, 0.0, "payload", SQL),
        Published("ADMM-NN (0.6 %, 2.8 bits)", 1910, 0.1, "payload", "Ye 2018, as in " + SQL),
        Published("MIRACLE (1.52 kB)", 1110, 0.15, "file", MIRACLE),
        Published("uniform with Huffman", 51.25, -0.03, "stream", CHOI),
        Published("ECSQ with Huffman", 49.01, 0.0, "stream", CHOI),
        Published("Hessian-weighted k-means", 47.16, 0.0, "stream", CHOI),
        Published("Deep Compression", 39, 0.0, "stream", "Han, Mao and Dally, ICLR 2016"),
    ),
    "resnet20": (
        Published("SQS (10.3 % non-zeros, 4.3 bits)", 72.0, 2.0, "payload", SQS),
        Published("SQL (46 % non-zeros, 1.9 bits)", 35.4, 0.14, "payload", SQL),
        Published("DSQ, 1 bit", 32, 0.5, "payload", "as in " + SQS),
        Published("EC2T ternary, 63.9 % sparse", 22, 0.7, "stream", EC2T),
        Published("APoT, 2 bits", 16, 0.6, "payload", "as in " + SQS),
        Published("HAWQ", 13.1, 0.2, "payload", "as in " + SQS),
    ),
}  # fmt: skip
