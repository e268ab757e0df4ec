"""The loss of every training loop: from labels and from the network before compression."""

from torch import Tensor
from torch.nn import functional


def distillation_loss(
    logits: Tensor, wanted: Tensor, labels: Tensor, share: float, temperature: float
) -> Tensor:
    """Return the loss with a share of knowledge distillation (Hinton et al., 2015).

    Parameters
    ----------
    logits, wanted : Tensor of float32, shape (images, classes)
        Outputs of the network that learns, and of the one that it learns from.
    labels : Tensor of int64, shape (images,)
    share : float, 0 to 1
        Weight of the distillation; the cross-entropy of the labels has the rest.
    temperature : float
        Temperature that softens both outputs; the loss is multiplied by its square.

    Returns
    -------
    Tensor
        Mean over the images, a scalar.
    """
    hard = functional.cross_entropy(logits, labels)
    soft = functional.kl_div(
        functional.log_softmax(logits / temperature, 1),
        functional.log_softmax(wanted / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )
    return share * temperature * temperature * soft + (1 - share) * hard
