"""Damaged ROMs whose words have check bits: what a corrector between memory and engine leaves."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sqhw.arrays import Ints
from sqhw.errors import unknown_name
from sqhw.faults.campaign import Campaign, Count, Outcome, drawn
from sqhw.faults.sites import Flips
from sqhw.machine.check_codes import PROTECTIONS, CheckCode

#: Name of words without check bits.
UNPROTECTED = "none"


@dataclass(frozen=True)
class Words:
    """Numbers of words by what the corrector makes of them.

    Parameters
    ----------
    corrected : int
        Words whose flip is undone.
    detected : int
        Words that it reports as wrong, and hands on as they are stored.
    silent : int
        Words whose data is wrong and that it does not report as such.
    """

    corrected: int
    detected: int
    silent: int


@dataclass(frozen=True)
class ProtectedCampaign:
    """Damages ROMs whose words have check bits, and tells what the network makes of the rest.

    Check bits flip as data bits do. Words of descriptors have none here: they are not damaged.

    Parameters
    ----------
    campaign : Campaign
        Damages the data bits that are left wrong.
    protection : {"parity", "secded"}
    """

    campaign: Campaign
    protection: str

    @cached_property
    def codes(self) -> dict[str, CheckCode]:
        """Code of the words of each ROM that is damaged."""
        widths = self.campaign.sites.widths
        return {rom: PROTECTIONS[self.protection](widths[rom]) for rom in self.campaign.roms}

    @cached_property
    def words(self) -> dict[str, Ints]:
        """Numbers of the words of each ROM that are damaged."""
        sites = self.campaign.sites
        return {rom: np.unique(sites.covered[rom] // sites.widths[rom]) for rom in self.codes}

    @property
    def check_bits(self) -> int:
        """Check bits of all words that are damaged."""
        return sum(len(self.words[rom]) * code.check_bits for rom, code in self.codes.items())

    def upsets(
        self, rate: float, trials: int, rng: np.random.Generator, progress: Count
    ) -> tuple[list[Outcome], list[int], list[Words]]:
        """Return the outcomes of damaged memories, the flips of each, and its damaged words.

        Each stored bit, also of the check bits, flips with the probability `rate`.
        """
        stored = {
            rom: np.arange(len(self.words[rom]) * code.stored_bits)
            for rom, code in self.codes.items()
        }
        total = sum(len(bits) for bits in stored.values())
        outcomes, flips, words = list[Outcome](), list[int](), list[Words]()
        for number in range(1, trials + 1):
            count = int(rng.binomial(total, rate))
            left, found = self.corrected(drawn(stored, count, rng))
            outcomes.append(self._outcome(left))
            flips.append(count)
            words.append(found)
            progress(number)
        return outcomes, flips, words

    def corrected(self, stored: Flips) -> tuple[dict[str, Ints], Words]:
        """Return the flips that the corrector leaves in the data, and its counts.

        Parameters
        ----------
        stored : mapping of str to ndarray of int64
            Flipped bits of each ROM: `stored_bits` numbers for each of `words`, those of the check
            bits behind those of the data.

        Returns
        -------
        dict of str to ndarray of int64
            Numbers of data bits in their ROM, as `Campaign.outcome` takes them.
        Words
        """
        left, counts = dict[str, Ints](), np.zeros(3, np.int64)
        for rom, bits in stored.items():
            code = self.codes[rom]
            hit, row = np.unique(bits // code.stored_bits, return_inverse=True)
            flips = np.zeros((len(hit), code.stored_bits), np.uint8)
            flips[row, bits % code.stored_bits] = 1
            # The code is linear: flips alone leave what they leave in any word.
            found = code.decode(flips)
            wrong = found.data.any(axis=1)
            counts += [
                int((found.corrected & ~wrong).sum()),
                int(found.detected.sum()),
                int((wrong & ~found.detected).sum()),
            ]
            at, bit = np.nonzero(found.data)
            if len(at):
                left[rom] = self.words[rom][hit[at]] * code.data_bits + bit
        return left, Words(*map(int, counts))

    def _outcome(self, left: Flips) -> Outcome:
        if left:
            return self.campaign.outcome(left)
        return self.campaign.judge(self.campaign.bench.logits)


def check_protection(name: str) -> str:
    """Check that a name is that of a protection of ROM words, and return it.

    Raises
    ------
    SqhwError
        If it is none of them.
    """
    known = (UNPROTECTED, *PROTECTIONS)
    if name not in known:
        raise unknown_name("protection", name, known)
    return name
