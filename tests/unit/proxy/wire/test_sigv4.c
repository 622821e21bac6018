#include "tests/unit/proxy/wire/sigv4_cases.h"

/* The requests and signatures of "Signature Calculations for the Authorization Header" and of
 * "Authenticating Requests: Using Query Parameters" in Amazon's S3 API reference. */
#define AUTHORIZATION(names, signature)                                                            \
    "Authorization: AWS4-HMAC-SHA256 "                                                             \
    "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" names      \
    ",Signature=" signature "\n"
#define HOST_AND_DATE                                                                              \
    "Host: examplebucket.s3.amazonaws.com\n"                                                       \
    "x-amz-date: 20130524T000000Z\n"
#define EMPTY                                                                                      \
    "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"

static const char GET_OBJECT[] =
    "GET /test.txt HTTP/1.1\n" HOST_AND_DATE EMPTY
    "Range: bytes=0-9\n" AUTHORIZATION("host;range;x-amz-content-sha256;x-amz-date",
                                       "f0e8bdb87c964420e857bd35b5d6ed31"
                                       "0bd44f0170aba48dd91039c6036bdb41");

static struct sigv4_verdict verdict;

static enum s3_error verify_at(const char *lines, uint64_t now_s)
{
    static struct http1_request request;
    struct sigv4_rules rules = rules_at(now_s);
    enum s3_error error;

    CHECK(parse(lines, &request));
    error = sigv4_verify(&request, &rules, &verdict);
    CHECK(error == verdict.fault.error);
    CHECK((error == S3_NONE && !verdict.is_anonymous) == (verdict.credential != NULL));
    return error;
}

static enum s3_error verify(const char *lines)
{
    return verify_at(lines, MAY_24_2013);
}

/* The request with one text in it replaced by another. */
static const char *with(const char *lines, const char *text, const char *by)
{
    static char room[2][8192];
    static int turn;
    const char *at = strstr(lines, text);
    char *out = room[turn ^= 1];

    CHECK(at != NULL);
    if (at != NULL)
        snprintf(out, sizeof(room[0]), "%.*s%s%s", (int)(at - lines), lines, by, at + strlen(text));
    return out;
}

static struct slice detail(const char *name)
{
    for (size_t i = 0; i < verdict.fault.details; i++) {
        if (strcmp(verdict.fault.detail[i].name, name) == 0)
            return verdict.fault.detail[i].value;
    }
    return slice_text("(none)");
}

static void a_get_is_verified(void)
{
    CHECK_INT(verify(GET_OBJECT), S3_NONE);
    CHECK(verdict.credential == &CREDENTIALS[0]);
    CHECK(!verdict.is_presigned);
    CHECK_INT(verdict.payload, SIGV4_PAYLOAD_HASH);
    CHECK_BYTES(verdict.payload_hash, slice_text(DIGEST_OF_NOTHING));
    CHECK_TEXT("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE");
    CHECK_BYTES(verdict.access_key, bytes("AKIAIOSFODNN7EXAMPLE"));
}

static void a_put_is_verified(void)
{
    CHECK_INT(verify("PUT /test$file.text HTTP/1.1\n"
                     "Date: Fri, 24 May 2013 00:00:00 GMT\n" HOST_AND_DATE
                     "x-amz-storage-class: REDUCED_REDUNDANCY\n"
                     "x-amz-content-sha256: "
                     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072\n"
                     "Content-Length: 21\n" AUTHORIZATION(
                         "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")),
              S3_NONE);
}

static void sub_resources_and_lists_are_verified(void)
{
    CHECK_INT(verify("GET /?lifecycle HTTP/1.1\n" HOST_AND_DATE EMPTY AUTHORIZATION(
                  "host;x-amz-content-sha256;x-amz-date",
                  "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")),
              S3_NONE);
    CHECK_INT(verify("GET /?prefix=J&max-keys=2 HTTP/1.1\n" HOST_AND_DATE EMPTY AUTHORIZATION(
                  "host;x-amz-content-sha256;x-amz-date",
                  "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")),
              S3_NONE);
}

#define PRESIGNED                                                                                  \
    "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE"         \
    "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"  \
    "&X-Amz-SignedHeaders=host&X-Amz-Signature="                                                   \
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\n"                  \
    "Host: examplebucket.s3.amazonaws.com\n"

static void a_presigned_request_is_verified_while_it_is_valid(void)
{
    CHECK_INT(verify(PRESIGNED), S3_NONE);
    CHECK(verdict.is_presigned);
    CHECK_INT(verdict.payload, SIGV4_PAYLOAD_UNSIGNED);
    CHECK_INT(verify_at(PRESIGNED, MAY_24_2013 + 86400), S3_NONE);
    CHECK_INT(verify_at(PRESIGNED, MAY_24_2013 + 86401), S3_ACCESS_DENIED);
    CHECK_TEXT(s3_fault_message(&verdict.fault), "Request has expired");
    CHECK_BYTES(detail("Expires"), bytes("2013-05-25T00:00:00.000Z"));
    CHECK_BYTES(detail("ServerTime"), bytes("2013-05-25T00:00:01.000Z"));
    CHECK_INT(verify_at(PRESIGNED, MAY_24_2013 - 900), S3_NONE);
    CHECK_INT(verify_at(PRESIGNED, MAY_24_2013 - 901), S3_ACCESS_DENIED);
    CHECK_TEXT(s3_fault_message(&verdict.fault), "Request is not yet valid");
}

static void a_presigned_request_needs_all_its_parts(void)
{
    static const char *const without[][2] = {
        { "X-Amz-Date=20130524T000000Z&", "" },
        { "&X-Amz-Expires=86400", "" },
        { "&X-Amz-SignedHeaders=host", "" },
        { "X-Amz-Algorithm=AWS4-HMAC-SHA256&", "" },
        { "=86400", "=0" },
        { "=86400", "=-1" },
        { "=86400", "=604801" },
        { "=86400", "=" },
        { "=86400", "=99999999999999999999" },
        { "=20130524T000000Z", "=20130524T000000" },
        { "=AWS4-HMAC-SHA256", "=AWS4-HMAC-SHA512" },
        { "%2Fus-east-1", "%2Fus-east-2" },
        { "%2Faws4_request", "" },
        { "AKIAIOSFODNN7EXAMPLE", "" },
        { "AKIAIOSFODNN7EXAMPLE", "%00" },
    };

    for (size_t i = 0; i < sizeof(without) / sizeof(*without); i++)
        CHECK_INT(verify(with(PRESIGNED, without[i][0], without[i][1])),
                  S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR);
    CHECK_INT(verify(with(PRESIGNED, "=86400", "=604800")), S3_SIGNATURE_DOES_NOT_MATCH);
    CHECK_INT(verify(with(PRESIGNED, "HTTP/1.1\n", "HTTP/1.1\nx-amz-meta-a: b\n")),
              S3_ACCESS_DENIED);
    CHECK_INT(verify(with(PRESIGNED, "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF")),
              S3_INVALID_ACCESS_KEY_ID);
    CHECK_INT(verify(with(PRESIGNED, "&X-Amz-Expires", "&X-Amz-Security-Token=a&X-Amz-Expires")),
              S3_INVALID_TOKEN);
}

static void what_is_changed_does_not_match(void)
{
    static const char *const changes[][2] = {
        { "bytes=0-9", "bytes=0-8" },
        { "GET", "PUT" },
        { "test.txt", "test.tx" },
        { "test.txt", "test.txt?a" },
        { "Host: example", "Host: Example" },
        { "=f0e8", "=f0e9" },
        { "=f0e8", "=F0e8" },
        { "=f0e8", "=f0e" },
        { "20130524T000000Z", "20130524T000001Z" },
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        CHECK_INT(verify(with(GET_OBJECT, changes[i][0], changes[i][1])),
                  S3_SIGNATURE_DOES_NOT_MATCH);
        CHECK_BYTES(detail("AWSAccessKeyId"), bytes("AKIAIOSFODNN7EXAMPLE"));
    }
    CHECK_BYTES(detail("StringToSign"),
                bytes("AWS4-HMAC-SHA256\n20130524T000001Z\n20130524/us-east-1/s3/aws4_request\n"
                      "f66a06391d0f37ec7c968713f25d227d14d4a81cf488e871e527024c1aa5798e"));
}

static void blanks_and_letters_of_fields_do_not_matter(void)
{
    static const char *const changes[][2] = {
        { "Range: bytes=0-9", "rAnGe:\t bytes=0-9  " }, { "Credential=", "  \tCredential=" },
        { ",SignedHeaders", " ,  SignedHeaders" },      { ",Signature", ", Signature" },
        { "AWS4-HMAC-SHA256 ", "aws4-hmac-sha256 " },   { "test.txt", "%74est%2Etxt" },
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
        CHECK_INT(verify(with(GET_OBJECT, changes[i][0], changes[i][1])), S3_NONE);
}

static void a_malformed_authorization_is_told_so(void)
{
    static const char *const changes[][2] = {
        { ",Signature=", ",Sign=" },
        { ",SignedHeaders", ",Signature" },
        { "Credential=AKIA", "Credential AKIA" },
        { ",Signature=f0e8", ",Signature=a,Signature=f0e8" },
        { "/aws4_request", "" },
        { "/aws4_request", "/aws5_request" },
        { "/s3/", "/ec2/" },
        { "/us-east-1/", "//" },
        { "/20130524/", "/20130525/" },
        { "/20130524/", "/2013/" },
        { "AKIAIOSFODNN7EXAMPLE", "" },
        { "AKIAIOSFODNN7EXAMPLE", "\xc3\xa9" },
        { "host;range;", "host;range;host;" },
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
        CHECK_INT(verify(with(GET_OBJECT, changes[i][0], changes[i][1])),
                  S3_AUTHORIZATION_HEADER_MALFORMED);
    CHECK_INT(verify(with(GET_OBJECT, "/us-east-1/", "/eu-west-1/")),
              S3_AUTHORIZATION_HEADER_MALFORMED);
    CHECK_TEXT(s3_fault_message(&verdict.fault),
               "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting "
               "'us-east-1'");
    CHECK_BYTES(detail("Region"), bytes("us-east-1"));
}

static void other_ways_of_signing_are_refused(void)
{
    CHECK_INT(verify("GET / HTTP/1.1\nHost: h\nAuthorization: AWS AKIAIOSFODNN7EXAMPLE:abc\n"),
              S3_INVALID_REQUEST);
    CHECK_INT(verify("GET /?AWSAccessKeyId=A&Signature=b&Expires=1 HTTP/1.1\nHost: h\n"),
              S3_INVALID_REQUEST);
    CHECK_INT(
        verify("GET / HTTP/1.1\nHost: h\nAuthorization: AWS4-ECDSA-P256-SHA256 Credential=a\n"),
        S3_INVALID_REQUEST);
    CHECK_INT(verify("GET /?X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256 HTTP/1.1\nHost: h\n"),
              S3_INVALID_REQUEST);
    CHECK_INT(verify("GET / HTTP/1.1\nHost: h\nAuthorization: Basic YTpi\n"), S3_INVALID_ARGUMENT);
    CHECK_INT(verify("GET / HTTP/1.1\nHost: h\nAuthorization: AWS4-HMAC-SHA256\n"),
              S3_INVALID_REQUEST);
    CHECK_INT(verify(with(PRESIGNED, "HTTP/1.1\n", "HTTP/1.1\nAuthorization: AWS a:b\n")),
              S3_INVALID_ARGUMENT);
}

static void without_a_signature_it_is_anonymous(void)
{
    CHECK_INT(verify("GET /a?X-Amz-Date=1 HTTP/1.1\nHost: h\nx-amz-meta-a: b\n"), S3_NONE);
    CHECK(verdict.is_anonymous);
    CHECK_INT(verdict.payload, SIGV4_PAYLOAD_NONE);
    CHECK_INT(verify("PUT /a HTTP/1.1\nHost: h\n"
                     "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\n"),
              S3_NONE);
    CHECK_INT(verdict.payload, SIGV4_PAYLOAD_UNSIGNED_TRAILER);
    CHECK_INT(verify("PUT /a HTTP/1.1\nHost: h\n"
                     "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\n"),
              S3_ACCESS_DENIED);
}

static void clocks_may_be_a_quarter_of_an_hour_off(void)
{
    CHECK_INT(verify_at(GET_OBJECT, MAY_24_2013 + 900), S3_NONE);
    CHECK_INT(verify_at(GET_OBJECT, MAY_24_2013 - 900), S3_NONE);
    CHECK_INT(verify_at(GET_OBJECT, MAY_24_2013 + 901), S3_REQUEST_TIME_TOO_SKEWED);
    CHECK_BYTES(detail("RequestTime"), bytes("20130524T000000Z"));
    CHECK_BYTES(detail("ServerTime"), bytes("2013-05-24T00:15:01.000Z"));
    CHECK_BYTES(detail("MaxAllowedSkewMilliseconds"), bytes("900000"));
    CHECK_INT(verify_at(GET_OBJECT, MAY_24_2013 - 901), S3_REQUEST_TIME_TOO_SKEWED);
    CHECK_INT(verify(with(GET_OBJECT, "x-amz-date: 20130524T000000Z\n", "")), S3_ACCESS_DENIED);
    CHECK_INT(verify(with(GET_OBJECT, "20130524T000000Z", "yesterday")), S3_ACCESS_DENIED);
}

static void the_payload_is_said(void)
{
    CHECK_INT(verify(with(GET_OBJECT, EMPTY, "")), S3_INVALID_REQUEST);
    CHECK_INT(verify(with(GET_OBJECT, "e3b0c4", "e3b0c")), S3_INVALID_ARGUMENT);
    CHECK_INT(verify(with(GET_OBJECT, "e3b0c4", "e3b0cx")), S3_INVALID_ARGUMENT);
    CHECK_INT(verify(with(GET_OBJECT, EMPTY,
                          "x-amz-content-sha256: STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD\n")),
              S3_NOT_IMPLEMENTED);
}

static void every_amz_field_and_the_host_must_be_signed(void)
{
    CHECK_INT(verify(with(GET_OBJECT, "Range:", "x-amz-meta-extra: 1\nRange:")), S3_ACCESS_DENIED);
    CHECK_BYTES(detail("HeadersNotSigned"), bytes("x-amz-meta-extra"));
    CHECK_INT(verify(with(GET_OBJECT, "Range:", "X-Amz-Acl: public-read\nRange:")),
              S3_ACCESS_DENIED);
    CHECK_INT(verify(with(GET_OBJECT, "host;range", "range")), S3_ACCESS_DENIED);
    CHECK_BYTES(detail("HeadersNotSigned"), bytes("Host"));
    CHECK_INT(verify(with(GET_OBJECT, "range;", "")), S3_SIGNATURE_DOES_NOT_MATCH);
    CHECK_INT(verify(with(GET_OBJECT, "Range:", "User-Agent: any\nRange:")), S3_NONE);
}

/* --- What is usual ---------------------------------------------------------------------------- */

/* Once a signature was good, what is said alike is not taken apart again: errors are the same. */
static void what_is_usual_is_verified_all_the_same(void)
{
    static const struct {
        const char *text, *by;
    } changed[] = {
        { "f0e8bdb8", "f0e8bdb9" },
        { "f0e8bdb8", "F0E8BDB8" },
        { "f0e8bdb8", "f0e8bd,8" },
        { "f0e8bdb8", "f0e8bd b8" },
        { "f0e8bdb8", "f0e8bdb" },
        { "db41\n", "db41,\n" },
        { "/20130524", "/20130525" },
        { "x-amz-date: 20130524T", "x-amz-date: 20130525T" },
        { "us-east-1", "us-east-2" },
        { "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF" },
        { "/s3/", "/s4/" },
        { "aws4_request,", "aws4_requesd," },
        { "host;range", "range;host" },
        { "host;range", "host;host" },
        { "Range: bytes=0-9\n", "" },
        { "Range: bytes=0-9\n", "Range: bytes=0-8\n" },
        { "Range: bytes=0-9\n", "Range: bytes=0-9\nx-amz-acl: private\n" },
        { "/test.txt", "/test.tx" },
        { "/test.txt", "/test.txt?X-Amz-Signature=1" },
        { "e3b0c442", "f3b0c442" },
        { "e3b0c442", "!3b0c442" },
        { "Authorization: AWS4", "Authorization: aWS4" },
    };
    enum s3_error before;
    char message[256];

    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++) {
        const char *lines = with(GET_OBJECT, changed[i].text, changed[i].by);

        memset(rules_at(0).scratch->usuals, 0, sizeof(rules_at(0).scratch->usuals));
        before = verify(lines);
        snprintf(message, sizeof(message), "%s", s3_fault_message(&verdict.fault));
        CHECK_INT(verify(GET_OBJECT), S3_NONE);
        CHECK_INT(verify(lines), before);
        CHECK_TEXT(s3_fault_message(&verdict.fault), message);
        CHECK_INT(verify(GET_OBJECT), S3_NONE);
        CHECK(verdict.credential == &CREDENTIALS[0]);
    }
    CHECK_INT(verify_at(GET_OBJECT, MAY_24_2013 + SIGV4_SKEW_S), S3_NONE);
    CHECK_INT(verify_at(GET_OBJECT, MAY_24_2013 + SIGV4_SKEW_S + 1), S3_REQUEST_TIME_TOO_SKEWED);
}

/* --- Signed by ourselves ---------------------------------------------------------------------- */

static struct sigv4_signer signer_of(const struct sigv4_credential *credential)
{
    struct sigv4_rules rules = rules_at(0);

    return (struct sigv4_signer){ .keys = rules.keys,
                                  .scratch = rules.scratch,
                                  .id = credential->id,
                                  .secret = credential->secret,
                                  .region = slice_text("us-east-1") };
}

/* As it is signed line by line; a second time what was made is used again. */
static void check_plain(const struct sigv4_signer *signer, struct sigv4_plain *plain,
                        const struct sigv4_request *request, uint64_t now_s)
{
    struct slice host = request->fields[0].value;
    struct buf kept = { 0 }, anew = { 0 };

    for (int times = 0; times < 2; times++) {
        CHECK(sigv4_plain_holds(plain, now_s) == (times > 0));
        if (times == 0)
            CHECK(sigv4_plain_make(plain, signer, host, now_s) == ERR_NONE);
        buf_clear(&kept);
        buf_format(&kept, "%.*s %.*s", (int)request->method.len, (const char *)request->method.at,
                   (int)request->path.len, (const char *)request->path.at);
        sigv4_plain_put(plain, signer->scratch, request->method, request->path.len, &kept);
        buf_clear(&anew);
        buf_format(&anew, "%.*s %.*s HTTP/1.1\r\nhost: %.*s\r\n", (int)request->method.len,
                   (const char *)request->method.at, (int)request->path.len,
                   (const char *)request->path.at, (int)host.len, (const char *)host.at);
        CHECK(sigv4_sign(signer, request, slice_text(SIGV4_PLAIN_PAYLOAD), now_s, NULL, &anew) ==
              ERR_NONE);
        buf_text(&anew, "\r\n");
        CHECK_BYTES(buf_all(&kept), buf_all(&anew));
    }
    buf_fini(&kept);
    buf_fini(&anew);
}

static void what_is_kept_of_an_endpoint_signs_as_without(void)
{
    struct sigv4_signer signer = signer_of(&CREDENTIALS[0]);
    struct http1_field host = { .name = bytes("host"), .value = bytes("a:1") };
    struct sigv4_request request = {
        .method = bytes("GET"), .path = bytes("/b/k"), .fields = &host, .field_count = 1
    };
    struct sigv4_plain plain = { 0 };

    CHECK(!sigv4_plain_holds(&plain, 0));
    check_plain(&signer, &plain, &request, MAY_24_2013);
    check_plain(&signer, &plain, &request, MAY_24_2013 + 1);
    check_plain(&signer, &plain, &request, MAY_24_2013 + 86400);
    request.path = bytes("/b/a%20longer/key-that/takes/more-than-a-block/of-what-is-hashed");
    request.method = bytes("HEAD");
    check_plain(&signer, &plain, &request, MAY_24_2013);
    sigv4_plain_forget(&plain);
    host.value = bytes("a:12");
    signer.region = bytes("eu1");
    check_plain(&signer, &plain, &request, MAY_24_2013);
    sigv4_plain_forget(&plain);
    signer.region = bytes("eu-1");
    check_plain(&signer, &plain, &request, MAY_24_2013);
    sigv4_plain_forget(&plain);
    signer.region = bytes("eu-west-1");
    signer.id = bytes("another");
    signer.secret = bytes("another secret");
    signer.token = bytes("a token");
    check_plain(&signer, &plain, &request, MAY_24_2013);
    sigv4_plain_forget(&plain);
    CHECK(!sigv4_plain_holds(&plain, MAY_24_2013));
}

static void the_published_get_is_signed_as_published(void)
{
    struct sigv4_signer signer = signer_of(&CREDENTIALS[0]);
    struct http1_field fields[] = {
        { .name = bytes("Range"), .value = bytes("bytes=0-9") },
        { .name = bytes("host"), .value = bytes("examplebucket.s3.amazonaws.com") },
    };
    struct sigv4_request request = {
        .method = bytes("GET"), .path = bytes("/test.txt"), .fields = fields, .field_count = 2
    };
    struct buf out = { 0 };

    CHECK(sigv4_sign(&signer, &request, slice_text(DIGEST_OF_NOTHING), MAY_24_2013, NULL, &out) ==
          ERR_NONE);
    CHECK_BYTES(buf_all(&out),
                bytes("x-amz-date: 20130524T000000Z\r\nx-amz-content-sha256: "
                      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n"
                      "Authorization: AWS4-HMAC-SHA256 "
                      "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                      "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature="
                      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\r\n"));
    buf_clear(&out);
    request.field_count = 1;
    request.fields = fields + 1;
    CHECK(sigv4_presign(&signer, &request, MAY_24_2013, 86400, &out) == ERR_NONE);
    CHECK_BYTES(buf_all(&out),
                bytes("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE"
                      "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
                      "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
                      "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"));
    CHECK(sigv4_presign(&signer, &request, MAY_24_2013, 0, &out) == ERR_RANGE);
    CHECK(sigv4_presign(&signer, &request, MAY_24_2013, 604801, &out) == ERR_RANGE);
    buf_fini(&out);
}

/* Signs the first of two heads, and verifies the second with that signature. */
static enum s3_error verify_as_signed(const char *as_signed, const char *as_sent)
{
    static struct http1_request request;
    struct sigv4_signer signer = signer_of(&CREDENTIALS[1]);
    struct sigv4_request signing;
    struct buf out = { 0 };
    char head[4096];
    enum s3_error error = S3_INTERNAL_ERROR;

    CHECK(parse(as_signed, &request));
    signing = (struct sigv4_request){ .method = request.method_text,
                                      .path = request.path,
                                      .query = request.query,
                                      .fields = request.head.fields,
                                      .field_count = request.head.field_count };
    CHECK(sigv4_sign(&signer, &signing, slice_text("UNSIGNED-PAYLOAD"), MAY_24_2013, NULL, &out) ==
          ERR_NONE);
    snprintf(head, sizeof(head), "%s%.*s", as_sent, (int)out.len, (const char *)out.at);
    for (char *cr = head; (cr = strchr(cr, '\r')) != NULL;)
        memmove(cr, cr + 1, strlen(cr));
    error = verify(head);
    buf_fini(&out);
    return error;
}

static void paths_are_signed_decoded_once_and_never_normalised(void)
{
    static const char *const same[][2] = {
        { "/b/%C3%A9", "/b/\xc3\xa9" }, { "/b/%C3%A9", "/b/%c3%a9" },
        { "/b/a%2Bb", "/b/a+b" },       { "/b/%21%2A%27%28%29", "/b/!*'()" },
        { "/b/%3A%40%3D", "/b/:@=" },   { "/b/~", "/b/%7E" },
        { "/b//x//y", "/b//x//y" },     { "/x/../y/./", "/x/../y/./" },
        { "/b/a%20b", "/b/a%20b" },     { "/b/a%2Fb", "/b/a/b" },
        { "/b/%2520", "/b/%2520" },
    };
    static const char *const other[][2] = {
        { "/b/%2520", "/b/%20" },
        { "/b/a+b", "/b/a%20b" },
        { "/b//x", "/b/x" },
        { "/x/../y", "/y" },
    };
    char signed_head[256], sent_head[256];

    for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
        snprintf(signed_head, sizeof(signed_head), "GET %s HTTP/1.1\nHost: h\n", same[i][0]);
        snprintf(sent_head, sizeof(sent_head), "GET %s HTTP/1.1\nHost: h\n", same[i][1]);
        CHECK_INT(verify_as_signed(signed_head, sent_head), S3_NONE);
        CHECK(verdict.credential == &CREDENTIALS[1]);
    }
    for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++) {
        snprintf(signed_head, sizeof(signed_head), "GET %s HTTP/1.1\nHost: h\n", other[i][0]);
        snprintf(sent_head, sizeof(sent_head), "GET %s HTTP/1.1\nHost: h\n", other[i][1]);
        CHECK_INT(verify_as_signed(signed_head, sent_head), S3_SIGNATURE_DOES_NOT_MATCH);
    }
}

static void queries_are_signed_split_decoded_and_in_order(void)
{
    static const char *const same[][2] = {
        { "a=1&b=2", "b=2&a=1" },
        { "a", "a=" },
        { "a%2Bb=c%2Bd", "a+b=c+d" },
        { "k=a%2Fb", "k=a/b" },
        { "k=2&k=1", "k=1&k=2" },
        { "a=1&&b", "&a=1&b&" },
        { "a%3D=1", "a%3d=1" },
        { "k=%C3%A9", "k=\xc3\xa9" },
        { "a%20b&a-b&aB", "aB&a-b&a%20b" },
        { "k=a=b", "k=a%3Db" },
    };
    char signed_head[256], sent_head[256];

    for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
        snprintf(signed_head, sizeof(signed_head), "GET /?%s HTTP/1.1\nHost: h\n", same[i][0]);
        snprintf(sent_head, sizeof(sent_head), "GET /?%s HTTP/1.1\nHost: h\n", same[i][1]);
        CHECK_INT(verify_as_signed(signed_head, sent_head), S3_NONE);
    }
    CHECK_INT(verify_as_signed("GET /?a+b HTTP/1.1\nHost: h\n", "GET /?a%20b HTTP/1.1\nHost: h\n"),
              S3_SIGNATURE_DOES_NOT_MATCH);
}

static void values_of_a_field_are_joined_and_their_blanks_collapsed(void)
{
#define START "GET / HTTP/1.1\nHost: h\n"
    CHECK_INT(verify_as_signed(START "x-amz-meta-a: b c\n", START "X-Amz-Meta-A:  b \t  c \n"),
              S3_NONE);
    CHECK_INT(verify_as_signed(START "x-amz-meta-a: b\nx-amz-meta-b: 2\nx-amz-meta-a: c\n",
                               START "x-amz-meta-b: 2\nx-amz-meta-a: b\nx-amz-meta-A: c\n"),
              S3_NONE);
    CHECK_INT(
        verify_as_signed(START "x-amz-meta-a: b,c\n", START "x-amz-meta-a: b\nx-amz-meta-a: c\n"),
        S3_NONE);
    CHECK_INT(verify_as_signed(START "x-amz-meta-a: b\nx-amz-meta-a: c\n",
                               START "x-amz-meta-a: c\nx-amz-meta-a: b\n"),
              S3_SIGNATURE_DOES_NOT_MATCH);
    CHECK_INT(verify_as_signed(START "x-amz-meta-a:\n", START "x-amz-meta-a: \t \n"), S3_NONE);
#undef START
}

static void a_query_that_is_no_query_is_refused(void)
{
    char head[1024] = "GET /?";

    CHECK_INT(verify(with(GET_OBJECT, "/test.txt", "/%zz")), S3_INVALID_URI);
    CHECK_INT(verify(with(GET_OBJECT, "/test.txt", "/?a=%4")), S3_INVALID_URI);
    for (int i = 0; i < 65; i++)
        snprintf(head + strlen(head), sizeof(head) - strlen(head), "k%d=1&", i);
    snprintf(head + strlen(head), sizeof(head) - strlen(head), " HTTP/1.1\nHost: h\n");
    CHECK_INT(verify(head), S3_INVALID_URI);
}

static void a_key_that_is_not_right_is_not_kept(void)
{
    struct sigv4_rules rules;
    struct slice secret = CREDENTIALS[0].secret, date = slice_text("20130524");
    struct slice region = slice_text("us-east-1");
    struct hmac_sha256 made;

    forget_all();
    rules = rules_at(MAY_24_2013);
    CHECK_INT(verify(with(GET_OBJECT, "=f0e8", "=f0e9")), S3_SIGNATURE_DOES_NOT_MATCH);
    CHECK(sigv4_keys_find(rules.keys, secret, date, region, &made) == &made);
    CHECK_INT(verify(GET_OBJECT), S3_NONE);
    CHECK(sigv4_keys_find(rules.keys, secret, date, region, &made) != &made);
}

static void many_keys_drive_out_the_oldest_only(void)
{
    struct sigv4_rules rules = rules_at(0);
    struct slice date = slice_text("20130524"), secret = slice_text("secret");
    struct hmac_sha256 made;
    char region[32];

    sigv4_keys_get(rules.keys, secret, date, slice_text("kept"));
    for (int i = 0; i < 5000; i++) {
        snprintf(region, sizeof(region), "region-%d", i);
        sigv4_keys_get(rules.keys, secret, date, slice_text(region));
        CHECK(sigv4_keys_find(rules.keys, secret, date, slice_text("kept"), &made) != &made);
    }
    CHECK(sigv4_keys_find(rules.keys, secret, date, slice_text("region-4999"), &made) != &made);
    CHECK(sigv4_keys_find(rules.keys, secret, date, slice_text("region-1"), &made) == &made);
    CHECK(sigv4_keys_find(rules.keys, secret, slice_text("20130525"), slice_text("kept"), &made) ==
          &made);
}

static void a_form_is_verified_by_its_policy(void)
{
    struct sigv4_rules rules = rules_at(MAY_24_2013);
    struct slice policy =
        slice_text("eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiIH0=");
    struct hmac_sha256 key;
    char signature[DIGEST_SHA256_HEX];
    uint8_t digest[DIGEST_SHA256_BYTES];
    struct sigv4_form form = {
        .policy = policy,
        .algorithm = slice_text("AWS4-HMAC-SHA256"),
        .credential = slice_text("AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"),
        .date = slice_text("20130524T000000Z"),
        .signature = slice_of(signature, DIGEST_SHA256_HEX),
    };

    sigv4_key_make(CREDENTIALS[0].secret, slice_text("20130524"), slice_text("us-east-1"),
                   slice_text("s3"), &key);
    hmac_sha256_add(&key, policy);
    hmac_sha256_end(&key, digest);
    digest_hex(slice_of(digest, sizeof(digest)), signature);
    CHECK_INT(sigv4_verify_form(&form, &rules, &verdict), S3_NONE);
    CHECK(verdict.credential == &CREDENTIALS[0]);
    rules.now_s += 7 * 86400 + 1;
    CHECK_INT(sigv4_verify_form(&form, &rules, &verdict), S3_ACCESS_DENIED);
    rules.now_s = MAY_24_2013;
    form.policy.len--;
    CHECK_INT(sigv4_verify_form(&form, &rules, &verdict), S3_SIGNATURE_DOES_NOT_MATCH);
    form.algorithm = (struct slice){ 0 };
    CHECK_INT(sigv4_verify_form(&form, &rules, &verdict), S3_INVALID_REQUEST);
}

int main(void)
{
    RUN(a_get_is_verified);
    RUN(a_put_is_verified);
    RUN(sub_resources_and_lists_are_verified);
    RUN(a_presigned_request_is_verified_while_it_is_valid);
    RUN(a_presigned_request_needs_all_its_parts);
    RUN(what_is_changed_does_not_match);
    RUN(blanks_and_letters_of_fields_do_not_matter);
    RUN(a_malformed_authorization_is_told_so);
    RUN(other_ways_of_signing_are_refused);
    RUN(without_a_signature_it_is_anonymous);
    RUN(clocks_may_be_a_quarter_of_an_hour_off);
    RUN(the_payload_is_said);
    RUN(every_amz_field_and_the_host_must_be_signed);
    RUN(what_is_usual_is_verified_all_the_same);
    RUN(the_published_get_is_signed_as_published);
    RUN(what_is_kept_of_an_endpoint_signs_as_without);
    RUN(paths_are_signed_decoded_once_and_never_normalised);
    RUN(queries_are_signed_split_decoded_and_in_order);
    RUN(values_of_a_field_are_joined_and_their_blanks_collapsed);
    RUN(a_query_that_is_no_query_is_refused);
    RUN(a_key_that_is_not_right_is_not_kept);
    RUN(many_keys_drive_out_the_oldest_only);
    RUN(a_form_is_verified_by_its_policy);
    forget_all();
    return check_report();
}
