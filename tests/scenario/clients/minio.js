// MinIO's client for JavaScript with its defaults: ENDPOINT BUCKET ID SECRET [WHAT THE STORES LACK...].
"use strict";
const assert = require("node:assert");
const crypto = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Readable } = require("node:stream");
const minio = require("minio");

const [endpoint, bucket, accessKey, secretKey, ...lacks] = process.argv.slice(2);
const { hostname: endPoint, port, protocol } = new URL(endpoint);
const MIB = 1024 * 1024;
const client = new minio.Client({ endPoint, port: Number(port), useSSL: protocol === "https:", accessKey, secretKey, partSize: 5 * MIB });

const gather = async (stream) => Buffer.concat(await stream.toArray());
const got = async (key) => gather(await client.getObject(bucket, key));
const same = (left, right, what) => assert.ok(left.equals(right), `${what}: ${left.length} bytes of ${right.length}`);

const steps = {
    async objects() {
        for (const size of [0, 1, 65537, MIB]) {
            const body = crypto.randomBytes(size);
            const { etag } = await client.putObject(bucket, `object ${size}`, body, size, { "Content-Type": "text/x", a: "1" });
            assert.equal(etag, crypto.createHash("md5").update(body).digest("hex"));
            same(await got(`object ${size}`), body, size);
            const stat = await client.statObject(bucket, `object ${size}`);
            assert.deepEqual([stat.size, stat.metaData["content-type"], stat.metaData.a], [size, "text/x", "1"]);
        }
        same(await gather(await client.getPartialObject(bucket, "object 65537", 65530, 5)), (await got("object 65537")).subarray(65530, 65535), "part");
    },

    async parts() {
        const body = crypto.randomBytes(11 * MIB);
        await client.putObject(bucket, "parts", Readable.from([body.subarray(0, 7 * MIB), body.subarray(7 * MIB)]));
        same(await got("parts"), body, "parts");
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sheaf-minio-"));
        try {
            fs.writeFileSync(path.join(folder, "a"), body);
            await client.fPutObject(bucket, "file", path.join(folder, "a"), {});
            await client.fGetObject(bucket, "file", path.join(folder, "b"));
            same(fs.readFileSync(path.join(folder, "b")), body, "file");
        } finally {
            fs.rmSync(folder, { recursive: true });
        }
        await client.composeObject(new minio.CopyDestinationOptions({ Bucket: bucket, Object: "composed" }),
                                   ["parts", "file"].map((Object) => new minio.CopySourceOptions({ Bucket: bucket, Object })));
        same(await got("composed"), Buffer.concat([body, body]), "composed");
    },

    async uploads_left_behind() {
        await client.initiateNewMultipartUpload(bucket, "left behind", {});
        const left = await client.listIncompleteUploads(bucket, "left", true).toArray();
        assert.deepEqual(left.map((each) => each.key), ["left behind"]);
        await client.removeIncompleteUpload(bucket, "left behind");
        assert.deepEqual(await client.listIncompleteUploads(bucket, "left", true).toArray(), []);
    },

    async lists() {
        const keys = Array.from({ length: 9 }, (_, n) => `list/${n % 3}/ä ${n}&`).sort();
        for (const key of keys)
            await client.putObject(bucket, key, key);
        for (const list of [client.listObjectsV2(bucket, "list/", true), client.listObjects(bucket, "list/", true)])
            assert.deepEqual((await list.toArray()).map((each) => each.name).sort(), keys);
        assert.deepEqual((await client.listObjectsV2(bucket, "list/", false).toArray()).map((each) => each.prefix),
                         ["list/0/", "list/1/", "list/2/"]);
        await client.removeObjects(bucket, keys);
        assert.deepEqual(await client.listObjectsV2(bucket, "list/", true).toArray(), []);
    },

    async copies() {
        await client.putObject(bucket, "copy/of ä+%", "body");
        for (let n = 0; n < 4; n++) {
            await client.copyObject(bucket, `copy/${n}`, `/${bucket}/copy/of ä+%`);
            same(await got(`copy/${n}`), Buffer.from("body"), "copy");
        }
    },

    async presigned() {
        const key = "pre signed/ü+";
        assert.equal((await fetch(await client.presignedPutObject(bucket, key, 60), { method: "PUT", body: "presigned" })).status, 200);
        assert.equal(await (await fetch(await client.presignedGetObject(bucket, key, 60))).text(), "presigned");
    },

    async errors() {
        await assert.rejects(got("none"), { code: "NoSuchKey" });
        await assert.rejects(client.statObject(bucket, "none"), { code: "NotFound" });
        assert.equal(await client.bucketExists("none-of-ours"), false);
        await assert.rejects(client.listObjectsV2("none-of-ours").toArray(), { code: "NoSuchBucket" });
    },

    async tags() {
        if (lacks.includes("tags"))
            return;
        await client.putObject(bucket, "tagged", "x");
        await client.setObjectTagging(bucket, "tagged", { a: "1" });
        assert.deepEqual((await client.getObjectTagging(bucket, "tagged"))[0], { Key: "a", Value: "1" });
        await client.removeObjectTagging(bucket, "tagged");
    },

    async emptied() {
        const objects = await client.listObjectsV2(bucket, "", true).toArray();
        await client.removeObjects(bucket, objects.map((each) => each.name));
        assert.ok((await client.listBuckets()).some((each) => each.name === bucket));
        await client.removeBucket(bucket);
    },
};

(async () => {
    await client.makeBucket(bucket);
    for (const [name, step] of Object.entries(steps)) {
        try {
            await step();
        } catch (error) {
            console.error(`${name}:`, error);
            process.exitCode = 1;
        }
    }
    process.exit(process.exitCode); // it leaves the answer of removeObjectTagging() unread, and its connection open
})();
