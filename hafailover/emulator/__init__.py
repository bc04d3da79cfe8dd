"""The emulator of VPC, CVM and metadata."""
