#!/usr/bin/python3
# release only: the clients' own programs take the time
"""The clients that people use with S3, before one folder, and before two accounts of a Swift and a folder."""
from lib import *
from lib.blob import *
from lib.blob_clients import BlobClients


class Clients(BlobClients, Case):
    lacks = ("tags", "names of digests")

    @classmethod
    def setUpClass(cls):
        cls.swift = Swift(cls)
        cls.serve_clients([folder_url(cls, sync="never")], [*cls.swift.urls, folder_url(cls, sync="never")])


if __name__ == "__main__":
    main()
