"""The boards that sqhw knows, as data, and what a design on a board needs beside the engine."""
