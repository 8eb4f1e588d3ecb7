// Runs portable_vectors.py under the 32-bit MicroPython of npm, whose small ints have 31 bits as on an ESP32:
//     node micropython_32bit.mjs INTERPRETER.mjs TAGWIRE_FOLDER SCRIPT.py VECTORS_FOLDER
// It has no cryptolib; node's AES stands in for the chip's.
import { createCipheriv } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , interpreter, tagwire, script, vectors] = process.argv;
const { loadMicroPython } = await import(pathToFileURL(interpreter));
const micropython = await loadMicroPython({ heapsize: 1024 * 1024, stdout: (line) => console.log(line) });

globalThis.aesBlocks = (key, blocks) => {
  const cipher = createCipheriv("aes-128-ecb", Buffer.from(key, "hex"), null).setAutoPadding(false);
  return cipher.update(Buffer.from(blocks, "hex")).toString("hex");
};
const cryptolib = `
import js
from binascii import hexlify, unhexlify

class aes:
    def __init__(self, key, mode):
        self._key = hexlify(key).decode()

    def encrypt(self, blocks):
        return unhexlify(js.aesBlocks(self._key, hexlify(blocks).decode()))
`;

micropython.FS.mkdir("/lib32");
micropython.FS.mkdir("/lib32/tagwire");
micropython.FS.mkdir("/vectors");
micropython.FS.writeFile("/lib32/cryptolib.py", cryptolib);
for (const [from, to] of [[tagwire, "/lib32/tagwire"], [vectors, "/vectors"]])
  for (const name of readdirSync(from).filter((name) => /\.(py|json)$/.test(name)))
    micropython.FS.writeFile(`${to}/${name}`, readFileSync(`${from}/${name}`));
try {
  micropython.runPython(`
import sys
assert sys.maxsize == 0x7FFFFFFF
sys.path.insert(0, "/lib32")
sys.argv.extend(["portable_vectors.py", "/vectors"])
`);
  micropython.runPython(readFileSync(script, "utf-8"));
} catch (error) {
  if (error.name !== "PythonError") throw error;
  console.error(error.message);
  process.exit(1);
}
