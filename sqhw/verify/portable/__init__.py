"""A bench to take along: files that check an engine where sqhw is not installed.

The modules ``cocotb_bench`` and ``run_bench`` are copied into the bench. They import nothing of
sqhw.
"""
