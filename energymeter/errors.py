"""Every error this package raises, on one page.

Each leaf is also the builtin a careful caller would already catch, and each carries the exit
code the command line ends with (0 is success, 2 is click's own "wrong usage")::

    EnergyMeterError                      1
    ├── SpecError            ValueError        2   a source spec, option or argument makes no sense
    ├── ExtraMissing         ImportError       2   an optional package is not installed
    ├── NotMeasured          LookupError       3   a window holds no sample: not 0 J, not known
    ├── ProvenanceRefused    ValueError        3   a measured source was required, none is here
    ├── SourceError          OSError           4   a source cannot be read
    │   ├── SourceMissing    FileNotFoundError 4   no such bus, port, file, or nobody answers
    │   ├── SourceForbidden  PermissionError   5   it is there, but not for this user
    │   ├── SourceBusy       BlockingIOError   6   another program or driver holds it
    │   ├── SourceTimeout    TimeoutError      4   it stopped answering
    │   └── SourceEnded      EOFError          4   a recording or stream has no more samples
    ├── ImplausibleReading   ValueError        7   the numbers cannot be true: wrong unit or shunt
    ├── LogError             ValueError        8   a log file is foreign, corrupt or in the way
    ├── SamplerError         RuntimeError      9   the sampling process could not do its work
    ├── CalibrationError     ValueError       10   a calibration is refused, foreign or tampered
    ├── LedgerError          RuntimeError     11   a budget's ledger cannot be used
    ├── BudgetExhausted      RuntimeError     12   the battery's reserve is reached
    ├── GridError            LookupError      13   no such zone or region, or no live intensity
    ├── NotComparable        ValueError       14   a comparison is refused, or has too few runs
    ├── VerificationFailed   ValueError       15   a log does not prove its claim
    └── CommandFailed        ChildProcessError 1   a compared command failed; its exit code is ours

A message is one sentence that ends with what to do about it.
"""


class EnergyMeterError(Exception):
    """Root of everything raised here on purpose."""

    exit_code = 1


class SpecError(EnergyMeterError, ValueError):
    """A source spec, an option or an argument makes no sense."""

    exit_code = 2


class ExtraMissing(EnergyMeterError, ImportError):
    """An optional package is needed; the message names the ``pip install`` to type."""

    exit_code = 2

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs {package}: pip install "edge-energymeter[{extra}]"', name=package)


class NotMeasured(EnergyMeterError, LookupError):
    """A window holds no sample, so its energy is unknown."""

    exit_code = 3


class ProvenanceRefused(EnergyMeterError, ValueError):
    """The caller required measured numbers and only modelled ones are available."""

    exit_code = 3


class SourceError(EnergyMeterError, OSError):
    """A source cannot be read; the sampler retries, counts and goes on."""

    exit_code = 4


class SourceMissing(SourceError, FileNotFoundError):
    """No such bus, port, file or device, or nobody answers there."""


def not_open(name: object) -> SourceMissing:
    """What a driver or a wire raises when it is used before `open`, or after `close`."""
    return SourceMissing(f"{name} is not open; call open() first")


class SourceForbidden(SourceError, PermissionError):
    """The source is there, but this user may not read it."""

    exit_code = 5


class SourceBusy(SourceError, BlockingIOError):
    """Another program or a kernel driver holds the source."""

    exit_code = 6


class SourceTimeout(SourceError, TimeoutError):
    """The source stopped answering."""


class SourceEnded(SourceError, EOFError):
    """A recording or stream has no more samples; nothing is wrong."""


class ImplausibleReading(EnergyMeterError, ValueError):
    """A value no such board can draw: a wrong unit or shunt is far more likely."""

    exit_code = 7


class LogError(EnergyMeterError, ValueError):
    """A log file is foreign, corrupt, or would be overwritten."""

    exit_code = 8


class SamplerError(EnergyMeterError, RuntimeError):
    """The sampling process could not start or could not be kept alive."""

    exit_code = 9


class CalibrationError(EnergyMeterError, ValueError):
    """A calibration is refused, foreign or tampered with."""

    exit_code = 10


class LedgerError(EnergyMeterError, RuntimeError):
    """A budget's ledger cannot be opened, read or written."""

    exit_code = 11


class BudgetExhausted(EnergyMeterError, RuntimeError):
    """The battery's reserve is reached and the caller asked to be stopped."""

    exit_code = 12


class GridError(EnergyMeterError, LookupError):
    """No such zone or region, or its live intensity is unavailable."""

    exit_code = 13


class NotComparable(EnergyMeterError, ValueError):
    """A comparison has no verdict: a reason speaks against it, or there are too few runs."""

    exit_code = 14


class VerificationFailed(EnergyMeterError, ValueError):
    """A rule of `energymeter verify` failed."""

    exit_code = 15


class CommandFailed(EnergyMeterError, ChildProcessError):
    """A command of a comparison failed; ``exit_code`` is its own."""


def warn(text: str, stacklevel: int = 2) -> None:
    """Warn the program; a standard error that was closed must not end its work.

    Args:
        text: what happened, with the remedy.
        stacklevel: whose line is shown, as in `warnings.warn`.
    """
    import warnings

    try:
        warnings.warn(text, RuntimeWarning, stacklevel=stacklevel + 1)
    except ValueError:  # Python has written to a file that is closed
        return
