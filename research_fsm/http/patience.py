"""How long a served connection waits for its client: for uvicorn, which alone has no limit on a slow one.

Floor 8; needs the extra ``serve`` (uvicorn). The application limits what it reads itself; this limits what it never
sees: a head that comes drop by drop, a body that nobody wants, an answer that nobody fetches. ::

    uvicorn.run(app, http=PatientProtocol)
"""

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PatientProtocol"]


class PatientProtocol(H11Protocol):
    """Closes a connection whose client takes too long to send a request, or to fetch its answer.

    Attributes:
        longest_seconds: From a connection, or a request's first byte, to the request's last one; and how long an
            answer may wait for a client that takes nothing.
    """

    longest_seconds: ClassVar[float] = 60

    _asking: asyncio.TimerHandle | None = None
    _fetching: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # As uvicorn has it.
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._asking = self._later()

    def data_received(self, data: bytes) -> None:
        """Go on waiting while a request is incomplete; the time runs from its first byte."""
        super().data_received(data)
        complete = self.conn.their_state not in (h11.IDLE, h11.SEND_BODY)
        if complete and self._asking is not None:
            self._asking.cancel()
            self._asking = None
        elif not complete and self._asking is None:
            self._asking = self._later()

    def pause_writing(self) -> None:
        """Begin to wait for a client that fetches nothing."""
        super().pause_writing()
        self._fetching = self._later()

    def resume_writing(self) -> None:
        """Wait no longer."""
        super().resume_writing()
        if self._fetching is not None:
            self._fetching.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        super().connection_lost(exc)
        for timer in (self._asking, self._fetching):
            if timer is not None:
                timer.cancel()

    def _later(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self.longest_seconds, self.transport.abort)
