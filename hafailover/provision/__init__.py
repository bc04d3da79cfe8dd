"""`hafailover provision`: creates what the file names and the cloud lacks, after showing what that would be."""
