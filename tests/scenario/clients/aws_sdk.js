// The AWS SDK for JavaScript with its defaults: ENDPOINT BUCKET ID SECRET [WHAT THE STORES LACK...].
"use strict";
const assert = require("node:assert");
const crypto = require("node:crypto");
const { Readable } = require("node:stream");
const s3 = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const [endpoint, Bucket, accessKeyId, secretAccessKey, ...lacks] = process.argv.slice(2);
const client = new s3.S3Client({
    endpoint, region: "us-east-1", credentials: { accessKeyId, secretAccessKey }, forcePathStyle: true, maxAttempts: 1,
});
const MIB = 1024 * 1024;

const put = (Key, Body, more) => client.send(new s3.PutObjectCommand({ Bucket, Key, Body, ...more }));
const got = async (Key, more) => {
    const answer = await client.send(new s3.GetObjectCommand({ Bucket, Key, ...more }));
    return Buffer.from(await answer.Body.transformToByteArray());
};
const same = (left, right, what) => assert.ok(left.equals(right), `${what}: ${left.length} bytes of ${right.length}`);

// In pieces of odd sizes, as what comes from elsewhere does.
function* pieces(body) {
    for (let at = 0, n = 1; at < body.length; at += n, n = (n * 7 + 3) % 90001)
        yield body.subarray(at, at + n);
}

const steps = {
    async buffers() {
        for (const size of [0, 1, 1024, 65537, 3 * MIB / 2]) {
            const body = crypto.randomBytes(size);
            const { ETag } = await put(`buffer ${size}`, body);
            assert.equal(ETag, `"${crypto.createHash("md5").update(body).digest("hex")}"`);
            same(await got(`buffer ${size}`), body, size);
            const head = await client.send(new s3.HeadObjectCommand({ Bucket, Key: `buffer ${size}` }));
            assert.equal(head.ContentLength, size);
        }
    },

    async streams() {
        for (const size of [0, 1, 100000, 1_300_000]) {
            const body = crypto.randomBytes(size);
            await put(`stream/${size}`, Readable.from(pieces(body)), { ContentLength: size });
            same(await got(`stream/${size}`), body, size);
            const head = await client.send(new s3.HeadObjectCommand({ Bucket, Key: `stream/${size}` }));
            assert.equal(head.ContentEncoding, undefined);
        }
    },

    async checksums() {
        const body = crypto.randomBytes(100_000);
        for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
            for (const [kind, Body] of [["whole", body], ["stream", Readable.from(pieces(body))]]) {
                const Key = `sum/${ChecksumAlgorithm}/${kind}`;
                await put(Key, Body, { ChecksumAlgorithm, ContentLength: body.length });
                same(await got(Key), body, Key);
            }
        }
        await assert.rejects(put("sum/wrong", body, { ChecksumCRC32: "AAAAAA==" }), { name: "BadDigest" });
        await assert.rejects(got("sum/wrong"), { name: "NoSuchKey" });
    },

    async parts() {
        const body = crypto.randomBytes(11 * MIB);
        const upload = new Upload({ client, params: { Bucket, Key: "parts", Body: Readable.from(pieces(body)), Metadata: { a: "1" } },
                                    partSize: 5 * MIB, queueSize: 3 });
        const { ETag } = await upload.done();
        assert.match(ETag, /^"[0-9a-f]{32}-3"$/);
        same(await got("parts"), body, "parts");
        assert.deepEqual((await client.send(new s3.HeadObjectCommand({ Bucket, Key: "parts" }))).Metadata, { a: "1" });
        same(await got("parts", { Range: `bytes=${5 * MIB - 10}-${5 * MIB + 9}` }), body.subarray(5 * MIB - 10, 5 * MIB + 10), "range");

        const where = { Bucket, Key: "parts copied" };
        const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand(where));
        const Parts = [];
        for (const [PartNumber, CopySourceRange] of [[1, `bytes=0-${5 * MIB}`], [2, `bytes=${5 * MIB + 1}-${body.length - 1}`]]) {
            const copied = await client.send(new s3.UploadPartCopyCommand(
                { ...where, UploadId, PartNumber, CopySource: `${Bucket}/parts`, CopySourceRange }));
            Parts.push({ PartNumber, ETag: copied.CopyPartResult.ETag });
        }
        await client.send(new s3.CompleteMultipartUploadCommand({ ...where, UploadId, MultipartUpload: { Parts } }));
        same(await got("parts copied"), body, "parts copied");
    },

    async an_upload_that_is_aborted() {
        const upload = new Upload({ client, params: { Bucket, Key: "aborted", Body: Readable.from(pieces(crypto.randomBytes(11 * MIB))) },
                                    partSize: 5 * MIB });
        upload.on("httpUploadProgress", () => upload.abort());
        await assert.rejects(upload.done(), { name: "AbortError" });
        await assert.rejects(got("aborted"), { name: "NoSuchKey" });
    },

    async lists() {
        const keys = Array.from({ length: 23 }, (_, n) => `list/${n % 3}/ä ${n}&`).sort();
        await Promise.all(keys.map((key) => put(key, key)));
        const seen = [];
        for await (const page of s3.paginateListObjectsV2({ client, pageSize: 5 }, { Bucket, Prefix: "list/" }))
            seen.push(...(page.Contents ?? []).map((each) => each.Key));
        assert.deepEqual(seen.sort(), keys);
        const folders = await client.send(new s3.ListObjectsCommand({ Bucket, Prefix: "list/", Delimiter: "/" }));
        assert.deepEqual(folders.CommonPrefixes.map((each) => each.Prefix), ["list/0/", "list/1/", "list/2/"]);
        const Objects = keys.map((Key) => ({ Key }));
        const deleted = await client.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
        assert.deepEqual(deleted.Deleted.map((each) => each.Key), keys);
        assert.equal((await client.send(new s3.ListObjectsV2Command({ Bucket, Prefix: "list/" }))).KeyCount, 0);
    },

    async copies() {
        await put("copy/of ä+%", "body", { Metadata: { a: "b" }, ContentType: "text/x" });
        for (let n = 0; n < 4; n++) {
            await client.send(new s3.CopyObjectCommand(
                { Bucket, Key: `copy/${n}`, CopySource: `${Bucket}/${encodeURIComponent("copy/of ä+%")}` }));
            const copy = await client.send(new s3.GetObjectCommand({ Bucket, Key: `copy/${n}` }));
            assert.deepEqual([await copy.Body.transformToString(), copy.Metadata, copy.ContentType], ["body", { a: "b" }, "text/x"]);
        }
    },

    async presigned() {
        const url = (command) => getSignedUrl(client, command, { expiresIn: 60 });
        const where = { Bucket, Key: "pre signed/ü+" };
        const answer = await fetch(await url(new s3.PutObjectCommand(where)), { method: "PUT", body: "presigned" });
        assert.equal(answer.status, 200, await answer.text());
        assert.equal(await (await fetch(await url(new s3.GetObjectCommand(where)))).text(), "presigned");
        assert.equal((await fetch((await url(new s3.GetObjectCommand(where))).replace("pre", "pro"))).status, 403);
    },

    async errors() {
        await assert.rejects(got("none"), { name: "NoSuchKey" });
        await assert.rejects(client.send(new s3.HeadObjectCommand({ Bucket, Key: "none" })), { name: "NotFound" });
        await assert.rejects(client.send(new s3.HeadBucketCommand({ Bucket: "none-of-ours" })), { name: "NotFound" });
        await assert.rejects(client.send(new s3.ListObjectsV2Command({ Bucket: "none-of-ours" })), { name: "NoSuchBucket" });
        const { ETag } = await put("once", "x");
        await assert.rejects(got("once", { IfNoneMatch: ETag }), (error) => error.$metadata.httpStatusCode === 304);
        await assert.rejects(put("once", "y", { IfNoneMatch: "*" }), (error) => [412, 501].includes(error.$metadata.httpStatusCode));
        same(await got("once"), Buffer.from("x"), "once");
    },

    async tags() {
        if (lacks.includes("tags"))
            return;
        await put("tagged", "x", { Tagging: "a=1&b=2%20" });
        const { TagSet } = await client.send(new s3.GetObjectTaggingCommand({ Bucket, Key: "tagged" }));
        assert.deepEqual(TagSet, [{ Key: "a", Value: "1" }, { Key: "b", Value: "2 " }]);
    },

    async emptied() {
        for await (const page of s3.paginateListObjectsV2({ client }, { Bucket }))
            await client.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: page.Contents.map(({ Key }) => ({ Key })), Quiet: true } }));
        const { Buckets } = await client.send(new s3.ListBucketsCommand({}));
        assert.ok(Buckets.some((each) => each.Name === Bucket));
        await client.send(new s3.DeleteBucketCommand({ Bucket }));
    },
};

(async () => {
    await client.send(new s3.CreateBucketCommand({ Bucket }));
    for (const [name, step] of Object.entries(steps)) {
        try {
            await step();
        } catch (error) {
            console.error(`${name}:`, error);
            process.exitCode = 1;
        }
    }
    client.destroy();
})();
