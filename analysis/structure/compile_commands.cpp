// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/compile_commands.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "analysis/structure/command_words.h"

namespace auxin::analysis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uintmax_t kMostDatabaseBytes = uintmax_t{512} << 20;
constexpr size_t kMostRemarksOfEntries = 10;

bool is_in(const fs::path& file, const fs::path& directory) {
  const auto [rest, unused] =
      std::mismatch(directory.begin(), directory.end(), file.begin(), file.end());
  return rest == directory.end();
}

// "src/" is "src": an empty last part would be held against a name.
fs::path directory_of(const std::string& text) {
  fs::path path = fs::absolute(text).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

bool is_c_or_cpp(const fs::path& file) {
  static const std::set<std::string> kExtensions = {".c",   ".cc",  ".cp",  ".cxx", ".cpp", ".CPP",
                                                    ".c++", ".C",   ".ii",  ".i",   ".ipp", ".tcc"};
  return kExtensions.contains(file.extension().string());
}

class Reader {
 public:
  Reader(const std::string& origin, const std::vector<std::string>& under) {
    result_.path = origin;
    base_ = fs::absolute(origin).parent_path();
    for (const std::string& each : under) under_.push_back(directory_of(each));
  }

  Result<CompileCommands> read(const std::string& text) {
    const json database = json::parse(text, nullptr, false);
    if (database.is_discarded()) {
      return Error{fmt::format("{}: is no JSON", result_.path)};
    }
    if (!database.is_array()) {
      return Error{fmt::format("{}: is no compilation database: a list of commands is expected",
                               result_.path)};
    }
    for (size_t i = 0; i < database.size(); ++i) {
      if (auto wrong = add(database[i]); !wrong.empty()) {
        remark_entry(fmt::format("{}: entry {}: {}", result_.path, i + 1, wrong));
      }
    }
    summarise();
    if (result_.units.empty()) {
      const bool elsewhere = outside_ > 0 && result_.failures.empty();
      return Error{fmt::format("{}: {}", result_.path,
                               database.empty() ? "there are no commands in it"
                               : elsewhere      ? "none of its units is in the directories given"
                                                : "none of its units can be read" + first())};
    }
    return std::move(result_);
  }

 private:
  // What is wrong with it; "": nothing.
  std::string add(const json& entry) {
    if (!entry.is_object()) return "is no object";
    std::string file_text, directory_text;
    for (const auto& [key, value] : {std::pair("file", &file_text),
                                     std::pair("directory", &directory_text)}) {
      const auto found = entry.find(key);
      if (found == entry.end() || !found->is_string()) return fmt::format("has no '{}'", key);
      *value = found->get<std::string>();
      if (value->empty() || value->find('\0') != std::string::npos) {
        return fmt::format("its '{}' is no path", key);
      }
    }
    std::vector<std::string> words;
    const auto arguments = entry.find("arguments");
    const auto command = entry.find("command");
    if (arguments != entry.end() && arguments->is_array()) {
      for (const json& word : *arguments) {
        if (!word.is_string()) return "its 'arguments' are not all texts";
        words.push_back(word.get<std::string>());
      }
    } else if (command != entry.end() && command->is_string()) {
      words = words_of_command(command->get<std::string>());
    } else {
      return "has neither 'arguments' nor 'command'";
    }
    if (words.empty()) return "its command is empty";
    for (const std::string& word : words) {
      if (word.find('\0') != std::string::npos) return "its command holds a NUL";
    }

    const fs::path directory = (base_ / directory_text).lexically_normal();
    const fs::path file = (directory / file_text).lexically_normal();
    if (!under_.empty() && std::none_of(under_.begin(), under_.end(), [&](const fs::path& each) {
          return is_in(file, each);
        })) {
      ++outside_;
      return {};
    }
    if (!is_c_or_cpp(file)) {
      ++foreign_;
      return {};
    }
    if (!seen_.insert(file.string()).second) {
      ++repeated_;
      return {};
    }
    std::error_code error;
    if (!fs::is_directory(directory, error)) {
      fail(file, fmt::format("its directory {} is not there", directory.string()));
      return {};
    }
    if (!fs::exists(file, error)) {
      fail(file, "the file is not there; if it is generated, build first");
      return {};
    }
    ReadingCommand reading = reading_command(words, directory);
    for (const std::string& remark : reading.remarks) remark_entry(file.string() + ": " + remark);
    result_.units.push_back({file.string(), directory.string(), reading.cpp_driver,
                             std::move(reading.arguments)});
    return {};
  }

  void fail(const fs::path& file, std::string reason) {
    result_.failures.push_back({file.string(), std::move(reason)});
  }

  void remark_entry(std::string sentence) {
    if (++remarked_ <= kMostRemarksOfEntries) result_.remarks.push_back(std::move(sentence));
  }

  void summarise() {
    if (remarked_ > kMostRemarksOfEntries) {
      result_.remarks.push_back(fmt::format("{}: {} more entries are wrong in such a way",
                                            result_.path, remarked_ - kMostRemarksOfEntries));
    }
    if (repeated_ > 0) {
      result_.remarks.push_back(fmt::format(
          "{}: {} commands compile a file again; the first command of each is followed",
          result_.path, repeated_));
    }
    if (foreign_ > 0) {
      result_.remarks.push_back(fmt::format("{}: {} units are neither C nor C++ and are left out",
                                            result_.path, foreign_));
    }
  }

  std::string first() const {
    if (!result_.failures.empty()) {
      return fmt::format(" ({}: {})", result_.failures[0].file, result_.failures[0].reason);
    }
    return result_.remarks.empty() ? "" : fmt::format(" ({})", result_.remarks[0]);
  }

  CompileCommands result_;
  fs::path base_;
  std::vector<fs::path> under_;
  std::set<std::string> seen_;
  size_t outside_ = 0, repeated_ = 0, foreign_ = 0, remarked_ = 0;
};

}  // namespace

Result<CompileCommands> parse_compile_commands(const std::string& text, const std::string& origin,
                                               const std::vector<std::string>& under) {
  return Reader(origin, under).read(text);
}

Result<CompileCommands> read_compile_commands(const std::string& path,
                                              const std::vector<std::string>& under) {
  std::error_code error;
  for (const std::string& each : under) {
    if (!fs::is_directory(each, error)) return Error{fmt::format("{}: is no directory", each)};
  }
  const fs::path file =
      fs::is_directory(path, error) ? fs::path(path) / "compile_commands.json" : fs::path(path);
  errno = 0;
  std::ifstream stream(file);
  if (!stream) {
    const std::string hint = file == fs::path(path)
                                 ? ""
                                 : "; CMake writes it with CMAKE_EXPORT_COMPILE_COMMANDS=ON";
    return Error{fmt::format("{}: {}{}", file.string(), strerrordesc_np(errno), hint)};
  }
  if (fs::is_regular_file(file, error) && fs::file_size(file, error) > kMostDatabaseBytes) {
    return Error{fmt::format("{}: is larger than {} MiB", file.string(),
                             kMostDatabaseBytes >> 20)};
  }
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  return parse_compile_commands(text, file.string(), under);
}

}  // namespace auxin::analysis
