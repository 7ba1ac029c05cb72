"""One owner of the meters, many readers: the agent of ``energymeter serve``."""

from energymeter.lazy import face

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from energymeter.serve.agent import Agent as Agent
    from energymeter.serve.agent import ServedSource as ServedSource

__all__, __getattr__, __dir__ = face(__name__, {"agent": "Agent ServedSource"})
