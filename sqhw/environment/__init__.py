"""What is installed beside sqhw, and where compiled code is kept from run to run."""
