"""The gate between a pixel stream and the engine: it passes complete frames and starts them."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.rtl.axi_stream import AxiStream


class FrameGate(wiring.Component):
    """Lets a frame into the engine and starts it.

    A frame ends with TLAST at its last pixel. A frame that is too short is filled up with zeros, so
    that the engine expects a first pixel again. A frame that is too long is taken up to its TLAST.
    Neither of them runs.

    Parameters
    ----------
    several : bool
        Whether the engine has several cores, of which others may work when one is `ready`.

    Members
    -------
    stream : In(AxiStream)
    auto, pause : In(1)
        Start every frame when it is complete; let no other frame begin.
    start_request : In(1)
        Start the frame that is loaded.
    changed : In(1)
        A ROM is written. High only while `idle`.
    idle, loaded, running : Out(1)
        No frame has begun; a complete one waits for its start; it runs or its results go out.
    short, long, start_busy, start_empty : Out(1)
        Events, high for one cycle: a frame had too few pixels, or too many; `start_request` was
        ignored because the engine worked, or because no frame was complete.
    ready, in_valid, in_data, in_ready, in_last, start, reload
        Ports of the `Engine`.
    all_ready : In(1)
        No core works. Missing if there are not several.
    """

    def __init__(self, *, several: bool = False) -> None:
        self._several = several
        super().__init__(
            ({"all_ready": In(1)} if several else {})
            | {
                "stream": In(AxiStream()),
                "auto": In(1),
                "pause": In(1),
                "start_request": In(1),
                "changed": In(1),
                "idle": Out(1),
                "loaded": Out(1),
                "running": Out(1),
                "short": Out(1),
                "long": Out(1),
                "start_busy": Out(1),
                "start_empty": Out(1),
                "ready": In(1),
                "in_valid": Out(1),
                "in_data": Out(8),
                "in_ready": In(1),
                "in_last": In(1),
                "start": Out(1),
                "reload": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the state machine."""
        m = Module()
        stream = self.stream
        begun, stale, closed = Signal(name="begun"), Signal(name="stale"), Signal(name="closed")
        m.d.comb += closed.eq(~begun & (self.pause | stale | self.changed))
        at_rest = self.all_ready if self._several else self.ready
        with m.FSM():
            with m.State("LOAD"):
                m.d.comb += [
                    self.idle.eq(at_rest & ~begun),
                    self.start_empty.eq(self.start_request),
                    self.in_valid.eq(stream.tvalid & ~closed),
                    self.in_data.eq(stream.tdata),
                    stream.tready.eq(self.in_ready & ~closed),
                    # The engine read the first layer's descriptor before the ROM was written.
                    self.reload.eq(self.idle & stale & stream.tvalid & ~self.pause),
                ]
                with m.If(self.reload):
                    m.d.sync += stale.eq(0)
                with m.If(self.in_valid & self.in_ready):
                    m.d.sync += begun.eq(~self.in_last)
                    with m.If(self.in_last & stream.tlast):
                        m.next = "LOADED"
                    with m.Elif(self.in_last):
                        m.d.comb += self.long.eq(1)
                        m.next = "DISCARD"
                    with m.Elif(stream.tlast):
                        m.d.comb += self.short.eq(1)
                        m.next = "FILL"
            with m.State("FILL"):
                m.d.comb += [self.in_valid.eq(1), self.start_empty.eq(self.start_request)]
                with m.If(self.in_ready & self.in_last):
                    m.d.sync += begun.eq(0)
                    m.next = "LOAD"
            with m.State("DISCARD"):
                m.d.comb += [stream.tready.eq(1), self.start_empty.eq(self.start_request)]
                with m.If(stream.tvalid & stream.tlast):
                    m.next = "LOAD"
            with m.State("LOADED"):
                m.d.comb += self.loaded.eq(1)
                with m.If(self.auto | self.start_request):
                    m.d.comb += self.start.eq(1)
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += [self.running.eq(1), self.start_busy.eq(self.start_request)]
                with m.If(self.ready):
                    m.next = "LOAD"
        with m.If(self.changed):
            m.d.sync += stale.eq(1)
        return m
