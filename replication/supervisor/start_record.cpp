// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/start_record.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "replication/supervisor/descriptor.h"
#include "replication/supervisor/read_to_end.h"
#include "replication/supervisor/sentence.h"

namespace auxin::supervisor {
namespace {

constexpr int kRecordSchema = 1;

std::string path_in(const std::string& directory) { return directory + "/start.json"; }

// Words of a command line need not be UTF-8; what is not is replaced.
std::string text_of(const nlohmann::json& value) {
  return value.dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// 0, or errno of what failed.
int write_whole(const std::string& path, const std::string& text) {
  Descriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return errno;
  for (size_t done = 0; done < text.size();) {
    const ssize_t size = write(fd.get(), text.data() + done, text.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno;
    done += static_cast<size_t>(size);
  }
  return 0;
}

// Nothing: errno says why.
std::optional<std::string> read_whole(const std::string& path) {
  // O_NONBLOCK: a FIFO under that name must not hang us.
  Descriptor fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) return {};
  return read_to_end(fd);
}

}  // namespace

bool StartRecord::same_server(const std::vector<std::string>& words) const {
  return text_of(server) == text_of(words);
}

std::string current_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

Result<bool> StartRecord::save(const std::string& directory) const {
  const std::string path = path_in(directory);
  const std::string unfinished = path + ".new";
  const nlohmann::json record = {{"schema", kRecordSchema},
                                 {"server", server},
                                 {"working_directory", working_directory},
                                 {"boot_id", boot_id},
                                 {"ready_file", ready_file},
                                 {"objects", objects},
                                 {"portable_file", portable_file},
                                 {"portable_every_s", portable_every_s},
                                 {"root_created", root_created}};
  unlink(unfinished.c_str());
  int error = write_whole(unfinished, text_of(record) + "\n");
  if (error == 0 && rename(unfinished.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    unlink(unfinished.c_str());
    const bool full = error == ENOSPC || error == EDQUOT;
    return Error{fmt::format("{}; {}choose another --state-dir",
                             failed(path, "write", error).message,
                             full ? "free some space there, or " : "")};
  }
  return true;
}

Result<StartRecord> StartRecord::load(const std::string& directory) {
  const std::string path = path_in(directory);
  const auto text = read_whole(path);
  if (!text && errno == ELOOP) {
    return Error{fmt::format("{}: is a symbolic link; put the file itself there", path)};
  }
  if (!text) return failed(path, "read", errno);
  try {
    const auto record = nlohmann::json::parse(*text);
    if (record.at("schema") != kRecordSchema) {
      return Error{fmt::format("{}: is of another version of Auxin", path)};
    }
    StartRecord result;
    result.server = record.at("server").get<std::vector<std::string>>();
    result.working_directory = record.at("working_directory");
    result.boot_id = record.at("boot_id");
    result.ready_file = record.at("ready_file");
    result.objects = record.value("objects", std::vector<std::string>());
    result.portable_file = record.value("portable_file", "");
    result.portable_every_s = record.value("portable_every_s", uint32_t{0});
    result.root_created = record.at("root_created");
    return result;
  } catch (const nlohmann::json::exception&) {
    return Error{fmt::format("{}: damaged", path)};
  }
}

}  // namespace auxin::supervisor
