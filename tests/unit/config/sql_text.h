/* Parts of configurations of SQL pools. */
#pragma once

#define SCRAM                                                                                      \
    "SCRAM-SHA-256$4096:pw/R5MP7b6HBcOCnCEvwAg==$TDH6oyhj7xvE7bVbjwVRTLwS0GyThfGNVIvLmK+8vzE="     \
    ":zgZKPPA1DZHCQsMAUrXLjXVDHZOFqPoYeBxQnbbPqUQ="
#define POOL                                                                                       \
    "[sql main]\nlisten = postgresql://127.0.0.1:5432\nprimary = postgresql://10.0.0.1\n"          \
    "user = app secret\n"
