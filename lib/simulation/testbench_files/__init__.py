"""Files that go into `tb/` as they are; they need cocotb, and nothing of ours."""
