/* Heads as clients and stores send them, read by us and by llhttp. */
#include "tests/unit/proxy/wire/http1_oracle.h"
#include "tests/unit/proxy/wire/http1_show.h"

static struct oracle oracle;

static void requests_of_clients_are_read_alike(void)
{
    static const char *const heads[] = {
        ("PUT /mail-blobs/2f/9a?x-id=PutObject HTTP/1.1\r\nHost: s3.example.org:9000\r\n"
         "User-Agent: aws-sdk-js/3.1169.0 ua/2.1 os/linux#6.1.0 lang/js api/s3#3.1169.0 m/E\r\n"
         "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n"
         "Content-Encoding: aws-chunked\r\nx-amz-decoded-content-length: 100000\r\n"
         "x-amz-trailer: x-amz-checksum-crc32\r\nx-amz-content-sha256: "
         "STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\nExpect: 100-continue\r\n"
         "Authorization: AWS4-HMAC-SHA256 Credential=AK/20261128/us-east-1/s3/aws4_request, "
         "SignedHeaders=host;x-amz-date, Signature=5d672d79\r\nConnection: keep-alive\r\n\r\n"),
        ("GET /b/%C3%A9?list-type=2&prefix=a%2F HTTP/1.1\r\nHost: h\r\nRange: bytes=0-99\r\n"
         "if-none-match: \"a\", W/\"b\"\r\nx-amz-meta-\t: x\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost:h\r\nA:\r\nB: \t\r\nC: a \t b \r\n\r\n",
        "DELETE /b/k HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
        "PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 00010\r\nConnection: close\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http://h:80/a?b=c HTTP/1.1\r\nHost: h:80\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct slice in = slice_text(heads[i]);
        bool is_taken = read_request(in) == HTTP1_REFUSAL_NONE;

        CHECK_INT(is_taken, strstr(heads[i], "\t:") == NULL);
        if (!is_taken)
            continue;
        oracle_read_head(&oracle, HTTP_REQUEST, slice_of(shown, in.len));
        CHECK_TEXT(oracle_differs(&oracle, &request.head) ? oracle_differs(&oracle, &request.head)
                                                          : "",
                   "");
        CHECK_BYTES(request.target, oracle.start);
        CHECK_INT(request.head.keep_alive, oracle_keeps_alive(&oracle));
    }
}

static void responses_of_stores_are_read_alike(void)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nx-amz-request-id: tx0\r\nETag: \"d41d8cd98f00b204e9800998ecf8427e\"\r\n"
        "Content-Length: 0\r\nDate: Sat, 28 Nov 2026 11:00:00 GMT\r\nConnection: "
        "Keep-Alive\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 CONTINUE\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 206\r\nContent-Range: bytes 0-0/1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.0 503 \r\nRetry-After: 1\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct slice in = slice_text(heads[i]);

        CHECK_INT(read_response(in, HTTP1_METHOD_GET), HTTP1_REFUSAL_NONE);
        oracle_read_head(&oracle, HTTP_RESPONSE, slice_of(shown, in.len));
        CHECK_TEXT(oracle_differs(&oracle, &response.head) ? oracle_differs(&oracle, &response.head)
                                                           : "",
                   "");
        CHECK_INT(response.status, oracle.parser.status_code);
        CHECK_BYTES(response.reason, oracle.start);
    }
}

int main(void)
{
    RUN(requests_of_clients_are_read_alike);
    RUN(responses_of_stores_are_read_alike);
    free(shown);
    return check_report();
}
