// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/injection/campaign.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>

#include "checkpoint/injection/rows.h"
#include "checkpoint/message/image.h"
#include "checkpoint/message/message_writer.h"
#include "checkpoint/message/piece.h"
#include "checkpoint/store/file_store.h"
#include "checkpoint/transport/frame.h"

namespace auxin::checkpoint::injection {
namespace {

using Bytes = std::vector<uint8_t>;

// A state of two regions: bytes that pack well, and bytes that do not.
ByteBuffer state_message(uint64_t sequence, const MessageOptions& options) {
  const std::string even(200, static_cast<char>('a' + sequence));
  Bytes noise(200);
  for (size_t i = 0; i < noise.size(); ++i) {
    noise[i] = static_cast<uint8_t>((i + sequence) * 2654435761u >> 11);
  }
  MessageWriter writer({1, sequence - 1, sequence, 7, sequence}, options);
  const uint32_t flags = sequence == 1 ? kWhole : 0u;
  writer.begin_region(1, 300, 0, flags);
  writer.add_contents(0, even.data(), even.size());
  writer.add_zeros(200, 100);
  writer.begin_region(2, noise.size(), 0, flags);
  writer.add_contents(0, noise.data(), noise.size());
  return std::move(*writer.finish());
}

bool same(const Image& one, const Image& other) {
  if (one.position().sequence != other.position().sequence ||
      one.position().state != other.position().state || one.user_word() != other.user_word() ||
      one.regions().size() != other.regions().size()) {
    return false;
  }
  for (const auto& [id, region] : one.regions()) {
    const Image::Region* as = other.region(id);
    if (as == nullptr || as->bytes.size() != region.bytes.size() ||
        std::memcmp(as->bytes.data(), region.bytes.data(), region.bytes.size()) != 0) {
      return false;
    }
  }
  return true;
}

Image image_at(uint64_t sequence) {
  Image image;
  for (uint64_t i = 1; i <= sequence; ++i) {
    const ByteBuffer message = state_message(i, MessageOptions{});
    if (!image.apply(*MessageView::of(message.view()))) std::abort();
  }
  return image;
}

// Turns each bit from byte `begin` to `end` of a copy, and counts what `tried` says of it.
Row each_bit(std::string where, const Bytes& good, size_t begin, size_t end,
             const std::function<Fate(const Bytes&)>& tried) {
  Row row;
  row.where = std::move(where);
  Bytes bytes = good;
  for (size_t at = begin; at < end; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes[at] ^= static_cast<uint8_t>(1 << bit);
      const Fate fate = tried(bytes);
      bytes[at] = good[at];
      count(&row, fate);
    }
  }
  return row;
}

// What a receiver that is at 1 makes of the message to 2.
Fate applied(const Bytes& bytes) {
  const Image before = image_at(1), after = image_at(2);
  Image image = image_at(1);
  const Expected<MessageView> view = MessageView::of(bytes);
  if (view && image.apply(*view)) return same(image, after) ? Fate::kMasked : Fate::kMissed;
  return same(image, before) ? Fate::kDetected : Fate::kMissed;
}

Bytes bytes_of(const ByteBuffer& buffer) {
  return Bytes(buffer.data(), buffer.data() + buffer.size());
}

void add_messages(std::vector<Row>* rows) {
  MessageOptions packed, bare;
  packed.lz4 = true;
  bare.checksums = false;
  const std::pair<const char*, MessageOptions> kinds[] = {
      {"a message", MessageOptions{}}, {"a packed message", packed},
      {"a message without checksums of contents", bare}};
  for (const auto& [what, options] : kinds) {
    const Bytes good = bytes_of(state_message(2, options));
    const size_t tables = sizeof(MessageHeader) + MessageView::of(good)->header().stored_bytes;
    const std::string name = what;
    rows->push_back(each_bit(name + ": header", good, 0, sizeof(MessageHeader), applied));
    rows->push_back(each_bit(name + ": contents", good, sizeof(MessageHeader), tables, applied));
    rows->push_back(each_bit(name + ": tables", good, tables, good.size(), applied));
  }
}

void add_piece(std::vector<Row>* rows) {
  const ByteBuffer message = state_message(1, MessageOptions{});
  const MessageView view = *MessageView::of(message.view());
  const ByteBuffer second = std::move(*piece_of(view, kLeastPieceBytes, 1));
  const auto tried = [&](const Bytes& bytes) {
    Assembly assembly(1 << 20);
    if (!assembly.add(piece_of(view, kLeastPieceBytes, 0)->view())) std::abort();
    if (!assembly.add(bytes)) return Fate::kDetected;
    return assembly.missing(9) == std::vector<uint32_t>{2} ? Fate::kMissed : Fate::kDetected;
  };
  const Bytes good = bytes_of(second);
  rows->push_back(each_bit("a piece of a message", good, 0, good.size(), tried));
}

void add_frame_header(std::vector<Row>* rows) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) std::abort();
  Connection from(ends[0], 1000), to(ends[1], 1000);
  FrameStream stream(from);
  Bytes good(sizeof(FrameHeader));
  if (!stream.write(FrameKind::kReport, nullptr, 0) || !to.read(good.data(), good.size())) {
    std::abort();
  }
  rows->push_back(each_bit("a frame's header", good, 0, good.size(), [](const Bytes& bytes) {
    return examine_frame_header(bytes, 0) ? Fate::kMissed : Fate::kDetected;
  }));
}

// The increment's file, under a base: what the next process to open the store reads.
void add_store(const std::string& directory, std::vector<Row>* rows) {
  const std::string path = directory + "/store";
  FileStoreOptions options;
  options.sync = false;
  {
    auto store = FileStore::open(path, options);
    for (uint64_t i = 1; i <= 2; ++i) {
      const ByteBuffer message = state_message(i, MessageOptions{});
      if (!store || !(*store)->put(*MessageView::of(message.view()))) std::abort();
    }
  }
  const std::string file = path + "/00000000000000000002-increment";
  const int fd = open(file.c_str(), O_RDWR | O_CLOEXEC);
  Bytes good(static_cast<size_t>(lseek(fd, 0, SEEK_END)));
  if (pread(fd, good.data(), good.size(), 0) != static_cast<ssize_t>(good.size())) std::abort();
  const Image before = image_at(1), after = image_at(2);
  options.read_only = true;
  const auto tried = [&](const Bytes& bytes) {
    if (pwrite(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
      std::abort();
    }
    auto store = FileStore::open(path, options);
    Image image;
    if (!store || !(*store)->read(&image)) return Fate::kMissed;  // the base was good
    if (same(image, after)) return Fate::kMasked;
    const bool told = !(*store)->report().damage.empty();
    return same(image, before) && told ? Fate::kDetected : Fate::kMissed;
  };
  rows->push_back(each_bit("a segment of a store", good, 0, good.size(), tried));
  close(fd);
}

// What a receiver has applied, in its memory: turned there, then handed on as a base.
void add_image(bool checked, std::vector<Row>* rows) {
  const Image right = image_at(2);
  Image image = image_at(2);
  image.set_checked(checked);
  const Image::Region* region = image.region(2);
  const Bytes good(region->bytes.data(), region->bytes.data() + region->bytes.size());
  uint8_t* bytes_there = const_cast<uint8_t*>(region->bytes.data());
  const char* what = checked ? "a checked image in memory" : "an image in memory";
  rows->push_back(each_bit(what, good, 0, good.size(), [&](const Bytes& bytes) {
    std::memcpy(bytes_there, bytes.data(), bytes.size());
    const Expected<ByteBuffer> base = image.to_base(MessageOptions{});
    Image next;
    if (!base || !next.apply(*MessageView::of(base->view()))) return Fate::kDetected;
    return same(next, right) ? Fate::kMasked : Fate::kMissed;
  }));
}

}  // namespace

std::vector<Row> run_campaign(const std::string& directory) {
  std::vector<Row> rows;
  add_messages(&rows);
  add_piece(&rows);
  add_frame_header(&rows);
  add_store(directory, &rows);
  add_image(false, &rows);
  add_image(true, &rows);
  add_tables(&rows);
  add_wrong_calls(directory, &rows);
  return rows;
}

std::string table_of(const std::vector<Row>& rows) {
  std::string text = "| where | injected | detected | masked | missed |\n|---|---|---|---|---|\n";
  for (const Row& row : rows) {
    text += "| " + row.where + " | " + std::to_string(row.injected()) + " | " +
            std::to_string(row.detected) + " | " + std::to_string(row.masked) + " | " +
            std::to_string(row.missed) + " |\n";
  }
  return text;
}

}  // namespace auxin::checkpoint::injection
