// SPDX-License-Identifier: Apache-2.0
#include "replication/supervisor/start_record.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace auxin::supervisor {
namespace {

constexpr int kRecordSchema = 1;

std::string path_in(const std::string& directory) { return directory + "/start.json"; }

// Words of a command line need not be UTF-8; what is not is replaced.
std::string text_of(const nlohmann::json& value) {
  return value.dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
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
                                 {"root_created", root_created}};
  std::ofstream file(unfinished);
  file << text_of(record) << '\n';
  file.close();
  std::error_code error;
  using std::filesystem::perms;
  std::filesystem::permissions(unfinished, perms::owner_read | perms::owner_write, error);
  if (file) std::filesystem::rename(unfinished, path, error);
  if (!file || error) return Error{fmt::format("{}: cannot write", path)};
  return true;
}

Result<StartRecord> StartRecord::load(const std::string& directory) {
  const std::string path = path_in(directory);
  std::ifstream file(path);
  if (!file) return Error{fmt::format("{}: cannot read", path)};
  try {
    const auto record = nlohmann::json::parse(file);
    if (record.at("schema") != kRecordSchema) {
      return Error{fmt::format("{}: is of another version of Auxin", path)};
    }
    StartRecord result;
    result.server = record.at("server").get<std::vector<std::string>>();
    result.working_directory = record.at("working_directory");
    result.boot_id = record.at("boot_id");
    result.ready_file = record.at("ready_file");
    result.root_created = record.at("root_created");
    return result;
  } catch (const nlohmann::json::exception&) {
    return Error{fmt::format("{}: damaged", path)};
  }
}

}  // namespace auxin::supervisor
