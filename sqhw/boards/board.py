"""The facts about a board: its device, its clock, and the pins of the serial line and the LEDs."""

import re
from dataclasses import dataclass

from sqhw.cost_models.checks import as_lists, check_choice, check_int, check_text, check_texts
from sqhw.cost_models.device import Device
from sqhw.errors import shown

#: Form of the name of a pin, of a part and of a standard: none could end a line of a constraint.
PIN = re.compile(r"[A-Za-z0-9_]+")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
STANDARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]*")
#: Frequencies of crystals on boards (unit: MHz).
MIN_CLOCK_MHZ, MAX_CLOCK_MHZ = 1, 400
#: Speeds of serial lines (unit: bit/s).
MIN_BAUD, MAX_BAUD = 9600, 12_000_000
#: Ways from the clock's pin to the PLL of an iCE40: the pin is the PLL's own, or any other.
PLLS = ("pad", "core")
#: Groups of LEDs that may light up when their pin is low.
LED_GROUPS = ("ready", "busy", "class")
#: Most LEDs for the class: those of 256 classes.
MAX_CLASS_LEDS = 8


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The clock of a board.

    Parameters
    ----------
    pin : str
    mhz : int or float, 1 to 400
        Frequency (unit: MHz).
    pll : {"pad", "core"}
        On iCE40, whether the pin is the PLL's own.
    """

    pin: str
    mhz: int | float
    pll: str = "core"

    def __post_init__(self) -> None:
        check_pin("pin", self.pin)
        number = self.mhz if isinstance(self.mhz, int | float) else 0
        if isinstance(self.mhz, bool) or not MIN_CLOCK_MHZ <= number <= MAX_CLOCK_MHZ:
            raise ValueError(
                f"mhz must be a number of {MIN_CLOCK_MHZ} to {MAX_CLOCK_MHZ}, not {shown(self.mhz)}"
            )
        check_choice("pll", self.pll, PLLS)


@dataclass(frozen=True, kw_only=True)
class Reset:
    """The reset button of a board.

    Parameters
    ----------
    pin : str
    active_low : bool
        Whether the pin is low while the button is pressed.
    """

    pin: str
    active_low: bool = True

    def __post_init__(self) -> None:
        check_pin("pin", self.pin)
        _check_bool("active_low", self.active_low)


@dataclass(frozen=True, kw_only=True)
class Uart:
    """The serial line of a board.

    Parameters
    ----------
    rx, tx : str
        Pins on which the FPGA receives and sends.
    baud : int, 9600 to 12,000,000
        Speed (unit: bit/s).
    """

    rx: str
    tx: str
    baud: int

    def __post_init__(self) -> None:
        check_pin("rx", self.rx)
        check_pin("tx", self.tx)
        check_int("baud", self.baud, MIN_BAUD, MAX_BAUD)


@dataclass(frozen=True, kw_only=True)
class Leds:
    """The LEDs of a board; none has to be there.

    Parameters
    ----------
    ready, busy : str or None
        Pins.
    classes : tuple of str
        Pins for the class of the last image, its lowest bit first. In a file the key is ``class``.
    active_low : tuple of {"ready", "busy", "class"}
        LEDs that light up when their pin is low.
    """

    ready: str | None = None
    busy: str | None = None
    classes: tuple[str, ...] = ()
    active_low: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in ("ready", "busy"):
            if getattr(self, key) is not None:
                check_pin(key, getattr(self, key))
        if not isinstance(self.classes, tuple) or len(self.classes) > MAX_CLASS_LEDS:
            raise ValueError(
                f"class must be a list of up to {MAX_CLASS_LEDS} pins, "
                f"not {shown(as_lists(self.classes))}"
            )
        for pin in self.classes:
            check_pin("class", pin)
        if not isinstance(self.active_low, tuple) or set(self.active_low) - set(LED_GROUPS):
            raise ValueError(
                f"active_low must be a list of {', '.join(LED_GROUPS)}, "
                f"not {shown(as_lists(self.active_low))}"
            )


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board.

    Parameters
    ----------
    name : str
    device : Device
    part : str or None
        Name of the device in the tool, where it is not that of the device file. Vendor tools need
        it with package and speed grade.
    package, speed : str or None
        Package and speed grade in the tool, where they are not those of the device file.
    standard : str or None
        I/O standard of all pins; families with one only need none.
    clock : Clock
    uart : Uart
    leds : Leds
    reset : Reset or None
    load : str or None
        Command line that loads a bitstream, whose name follows.
    source : tuple of str
        Where the facts are from.
    """

    name: str
    device: Device
    part: str | None = None
    package: str | None = None
    speed: str | None = None
    standard: str | None = None
    clock: Clock
    uart: Uart
    leds: Leds = Leds()
    reset: Reset | None = None
    load: str | None = None
    source: tuple[str, ...]

    def __post_init__(self) -> None:
        check_text("name", self.name)
        for key in ("part", "package", "speed"):
            _check_word(key, getattr(self, key), WORD)
        _check_word("standard", self.standard, STANDARD)
        if self.load is not None:
            check_text("load", self.load)
        check_texts("source", self.source, at_least=1)
        seen: dict[str, str] = {}
        for port, pin in self.pins().items():
            if pin in seen:
                raise ValueError(f"pin {shown(pin)} is that of {seen[pin]} and of {port}")
            seen[pin] = port

    def pins(self) -> dict[str, str]:
        """Return the pins of the ports of the top module, by port."""
        found = {"clock": self.clock.pin, "rx": self.uart.rx, "tx": self.uart.tx}
        if self.reset is not None:
            found["button"] = self.reset.pin
        for key in ("ready", "busy"):
            if (pin := getattr(self.leds, key)) is not None:
                found[f"led_{key}"] = pin
        return found | {f"led_class_{bit}": pin for bit, pin in enumerate(self.leds.classes)}


def check_pin(key: str, value: object) -> None:
    """Refuse a value that is not the name of a pin."""
    if not (isinstance(value, str) and PIN.fullmatch(value)):
        raise ValueError(f"{key} must be the name of a pin such as 'G2', not {shown(value)}")


def _check_word(key: str, value: object, form: re.Pattern[str]) -> None:
    if value is not None and not (isinstance(value, str) and form.fullmatch(value)):
        raise ValueError(f"{key} must be a word, not {shown(value)}")


def _check_bool(key: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{key} must be true or false, not {shown(value)}")
