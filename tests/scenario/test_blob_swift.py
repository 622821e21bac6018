#!/usr/bin/python3
# release only: the sanitizers see the same code with the stores of test_blob_servers
"""Blob pools over OpenStack Swift, which checks signatures strictly and knows nothing of what S3's clients send today."""
from lib import *
from lib.blob import *


class TwoAccounts(BlobStory, Case):
    lacks = ("tags", "control characters", "names of digests")

    @classmethod
    def setUpClass(cls):
        cls.swift = Swift(cls)
        cls.sheaf = Sheaf(cls, blob_pool(cls.swift.urls))


if __name__ == "__main__":
    main()
