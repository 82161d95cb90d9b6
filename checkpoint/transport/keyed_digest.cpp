// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/transport/keyed_digest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <bit>
#include <cstring>
#include <vector>

#include "stmemu/file.h"

namespace auxin::checkpoint {
namespace {

constexpr uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
constexpr size_t kBlockBytes = 64;

uint32_t load_big_endian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

void mix_block(uint32_t state[8], const uint8_t* block) {
  uint32_t w[64];
  for (int i = 0; i < 16; ++i) w[i] = load_big_endian(block + 4 * i);
  for (int i = 16; i < 64; ++i) {
    const uint32_t low = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
    const uint32_t high = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + low + w[i - 7] + high;
  }
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; ++i) {
    const uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const uint32_t one = h + s1 + ((e & f) ^ (~e & g)) + kRoundConstants[i] + w[i];
    const uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const uint32_t two = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + one;
    d = c, c = b, b = a, a = one + two;
  }
  const uint32_t mixed[8] = {a, b, c, d, e, f, g, h};
  for (int i = 0; i < 8; ++i) state[i] += mixed[i];
}

}  // namespace

Digest sha256(std::span<const uint8_t> bytes) {
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  size_t at = 0;
  for (; bytes.size() - at >= kBlockBytes; at += kBlockBytes) mix_block(state, bytes.data() + at);
  // The rest, a 1, zeros, and the length in bits.
  uint8_t end[2 * kBlockBytes] = {};
  const size_t left = bytes.size() - at;
  if (left != 0) std::memcpy(end, bytes.data() + at, left);
  end[left] = 0x80;
  const size_t end_bytes = left + 9 <= kBlockBytes ? kBlockBytes : 2 * kBlockBytes;
  const uint64_t bits = uint64_t{bytes.size()} * 8;
  for (size_t i = 0; i < 8; ++i) end[end_bytes - 1 - i] = static_cast<uint8_t>(bits >> 8 * i);
  for (size_t i = 0; i < end_bytes; i += kBlockBytes) mix_block(state, end + i);
  Digest digest;
  for (size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<uint8_t>(state[i / 4] >> 8 * (3 - i % 4));
  }
  return digest;
}

Digest keyed_digest(const std::string& secret, std::span<const uint8_t> bytes) {
  uint8_t key[kBlockBytes] = {};
  if (secret.size() > kBlockBytes) {
    const Digest shorter =
        sha256({reinterpret_cast<const uint8_t*>(secret.data()), secret.size()});
    std::memcpy(key, shorter.data(), shorter.size());
  } else {
    std::memcpy(key, secret.data(), secret.size());
  }
  std::vector<uint8_t> inner(kBlockBytes), outer(kBlockBytes);
  for (size_t i = 0; i < kBlockBytes; ++i) {
    inner[i] = key[i] ^ 0x36;
    outer[i] = key[i] ^ 0x5c;
  }
  inner.insert(inner.end(), bytes.begin(), bytes.end());
  const Digest first = sha256(inner);
  outer.insert(outer.end(), first.begin(), first.end());
  return sha256(outer);
}

bool same_digest(const Digest& one, const uint8_t* other) {
  uint8_t difference = 0;
  for (size_t i = 0; i < one.size(); ++i) difference |= one[i] ^ other[i];
  return difference == 0;
}

Expected<std::string> read_secret(const std::string& path) {
  constexpr size_t kLeastBytes = 16, kMostBytes = 4096;
  const stm::FileDescriptor file(stm::FileDescriptor::open(path, O_RDONLY | O_NOCTTY));
  struct stat status;
  if (!file.valid() || fstat(file.get(), &status) != 0) {
    return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT,
                   stm::file_error(path, "can't be read", errno).message);
  }
  if (!S_ISREG(status.st_mode) || (status.st_mode & 077) != 0) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL,
                   path + ": a secret is in a file that only its owner may read (mode 0600)");
  }
  std::string secret(kMostBytes + 1, '\0');
  const long got = syscall(SYS_read, file.get(), secret.data(), secret.size());
  if (got < 0) {
    return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT,
                   stm::file_error(path, "can't be read", errno).message);
  }
  secret.resize(static_cast<size_t>(got));
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  if (secret.size() < kLeastBytes || secret.size() > kMostBytes) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, path + ": a secret has 16 to 4096 bytes");
  }
  return secret;
}

}  // namespace auxin::checkpoint
