"""Bytes in, arrays out; arrays in, files out. Knows the array structs of the kernels and no kernel."""
