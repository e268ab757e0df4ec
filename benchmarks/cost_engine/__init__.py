"""The cost model of the engine: its calibration on synthesis runs, and its error on others."""
