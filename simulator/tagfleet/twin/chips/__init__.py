"""The chips around a virtual board, one file each, as their datasheets say; none of it is the firmware's code."""
