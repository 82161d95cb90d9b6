// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/snapshot_file.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "recording/snapshots.h"

namespace auxin::analysis {
namespace {

using recording::SnapshotBlock;
using recording::SnapshotFileHeader;
using recording::SnapshotHeader;

// False: the record is damaged.
bool read_record(const char* bytes, const SnapshotHeader& header, Snapshot* snapshot) {
  snapshot->tid = header.tid;
  snapshot->clock = header.clock;
  snapshot->object = header.object;
  snapshot->dispatched = header.dispatched;
  snapshot->left = header.left != 0;
  snapshot->join_point.assign(header.join_point,
                              strnlen(header.join_point, sizeof header.join_point));
  size_t at = sizeof header;
  for (int i = 0; i < header.block_count; ++i) {
    SnapshotBlock block;
    if (at + sizeof block > header.size_bytes) return false;
    memcpy(&block, bytes + at, sizeof block);
    at += sizeof block;
    const size_t padded = (size_t{block.size_bytes} + 7) / 8 * 8;
    if (padded > header.size_bytes - at) return false;
    const auto* content = reinterpret_cast<const unsigned char*>(bytes + at);
    snapshot->blocks.push_back(
        {block.address, block.level, {content, content + block.size_bytes}});
    at += padded;
  }
  return !snapshot->blocks.empty();
}

}  // namespace

const unsigned char* Snapshot::find(uint64_t address, uint32_t size_bytes,
                                    uint32_t* left_bytes) const {
  for (const Block& block : blocks) {
    if (address < block.address || address - block.address >= block.bytes.size()) continue;
    const uint64_t offset = address - block.address;
    if (block.bytes.size() - offset < size_bytes) continue;
    *left_bytes = static_cast<uint32_t>(block.bytes.size() - offset);
    return block.bytes.data() + offset;
  }
  return nullptr;
}

std::optional<uint64_t> Snapshot::word_at(uint64_t address) const {
  uint32_t left_bytes;
  const unsigned char* bytes = find(address, 8, &left_bytes);
  if (bytes == nullptr) return std::nullopt;
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

std::optional<uint32_t> Snapshot::number_at(uint64_t address) const {
  uint32_t left_bytes;
  const unsigned char* bytes = find(address, 4, &left_bytes);
  if (bytes == nullptr) return std::nullopt;
  uint32_t number;
  memcpy(&number, bytes, sizeof number);
  return number;
}

std::optional<std::string> Snapshot::text_at(uint64_t address) const {
  uint32_t left_bytes;
  const unsigned char* bytes = find(address, 1, &left_bytes);
  if (bytes == nullptr) return std::nullopt;
  const void* end = memchr(bytes, 0, left_bytes);
  if (end == nullptr) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes), static_cast<const char*>(end));
}

uint32_t Snapshot::object_bytes() const {
  return blocks.empty() ? 0 : static_cast<uint32_t>(blocks.front().bytes.size());
}

Result<std::vector<Snapshot>> read_snapshots(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error{fmt::format("{}: {}", path, strerrordesc_np(errno))};
  const std::string bytes = text.str();
  SnapshotFileHeader file_header;
  if (bytes.size() < sizeof file_header) return Error{path + ": holds no snapshots"};
  memcpy(&file_header, bytes.data(), sizeof file_header);
  if (file_header.magic != recording::kSnapshotMagic ||
      file_header.version != recording::kSnapshotVersion) {
    return Error{path + ": holds no snapshots of this version"};
  }
  std::vector<Snapshot> snapshots;
  for (size_t at = sizeof file_header; bytes.size() - at >= sizeof(SnapshotHeader);) {
    SnapshotHeader header;
    memcpy(&header, bytes.data() + at, sizeof header);
    if (header.size_bytes < sizeof header || header.size_bytes > bytes.size() - at) break;
    Snapshot snapshot;
    if (!read_record(bytes.data() + at, header, &snapshot)) break;
    snapshots.push_back(std::move(snapshot));
    at += header.size_bytes;
  }
  return snapshots;
}

}  // namespace auxin::analysis
