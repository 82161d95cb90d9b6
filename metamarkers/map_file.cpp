// SPDX-License-Identifier: Apache-2.0
//
// Reads join-point maps with toml++, header-only and without exceptions: nothing of it is visible
// outside this file.
#include "metamarkers/map_file.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// Its assertions hold for good input only ("[\x80" trips one) and, with NDEBUG, are assumptions to
// some compilers; the code behind them reports such input as an error, as it should.
#define TOML_ASSERT(expression) static_assert(true)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#include <toml++/toml.h>
#pragma GCC diagnostic pop
#pragma pop_macro("NDEBUG")

#include <initializer_list>

namespace auxin::markers {

namespace {

constexpr int64_t kSchema = 1;
constexpr size_t kMaxEntries = 1024;  // of any list in a map

// Collects the map and the first error.
class Reader {
 public:
  explicit Reader(std::string path) { result_.map.path = std::move(path); }

  LoadedMap read(const toml::table& root) {
    only_keys(root, {"schema", "name", "match", "modules", "join_point", "offsets", "framing"},
              "the map");
    const toml::node* schema = root.get("schema");
    if (schema == nullptr) {
      fail(nullptr, "`schema` is missing; this version reads schema 1");
    } else if (integer(*schema, "schema") != kSchema) {
      fail(schema, "this version reads schema 1 only");
    }
    JoinPointMap& map = result_.map;
    map.name = required_string(root, "name", "the map");
    for_each_table(root, "match", [&](const toml::table& match) {
      only_keys(match, {"soname"}, "[[match]]");
      map.match_sonames.push_back(required_string(match, "soname", "[[match]]"));
    });
    if (map.match_sonames.empty()) {
      fail(nullptr, "there is no [[match]]: the map would never apply");
    }
    if (const toml::table* modules = table(root, "modules")) {
      only_keys(*modules, {"infrastructure", "conduit", "own_sockets", "interpreter"}, "[modules]");
      map.infrastructure = strings(*modules, "infrastructure");
      map.conduit = strings(*modules, "conduit");
      map.own_sockets = strings(*modules, "own_sockets");
      map.interpreter = strings(*modules, "interpreter");
    }
    for_each_table(root, "join_point", [&](const toml::table& entry) { read_join_point(entry); });
    if (const toml::table* offsets = table(root, "offsets")) read_offsets(*offsets, "");
    if (const toml::table* framing = table(root, "framing")) read_framing(*framing);
    return std::move(result_);
  }

  // Keeps the first error only: later ones are often its consequences.
  void fail(const toml::node* where, const std::string& sentence) {
    fail_at(where != nullptr ? where->source().begin.line : 1, sentence);
  }
  void fail_at(uint32_t line, const std::string& sentence) {
    if (result_.error.empty()) {
      result_.error = result_.map.path + ":" + std::to_string(line) + ": " + sentence;
    }
  }
  LoadedMap failed() { return std::move(result_); }

 private:
  void read_join_point(const toml::table& entry) {
    constexpr const char* kHere = "[[join_point]]";
    only_keys(entry,
              {"name", "function", "library", "role", "follower_skips", "skip_result",
               "argument_offset", "optional"},
              kHere);
    JoinPoint join_point;
    join_point.name = required_string(entry, "name", kHere);
    join_point.function = required_string(entry, "function", kHere);
    join_point.library = required_string(entry, "library", kHere);
    const std::string role = required_string(entry, "role", kHere);
    join_point.role = role_of(role.c_str());
    if (join_point.role == Role::kNone) fail(entry.get("role"), unknown_role(role));
    const bool suppressed = join_point.role == Role::kSuppressed;
    join_point.optional = boolean(entry, "optional");
    join_point.follower_skips = boolean(entry, "follower_skips");
    if (join_point.follower_skips && !suppressed) {
      fail(entry.get("follower_skips"),
           "`follower_skips` goes with the role \"suppressed\" only");
    }
    if (const toml::node* node = entry.get("skip_result")) {
      join_point.skip_result = static_cast<uint64_t>(integer(*node, "skip_result"));
      if (!join_point.follower_skips) fail(node, "`skip_result` needs `follower_skips = true`");
    }
    if (const toml::node* node = entry.get("argument_offset")) {
      join_point.argument_offset = integer(*node, "argument_offset");
    }
    result_.map.join_points.push_back(std::move(join_point));
  }

  void read_framing(const toml::table& from) {
    only_keys(from,
              {"length_at", "length_bytes", "length_adds", "kind_at", "kind_bytes", "id_at",
               "id_bytes", "byte_order", "requests", "replies"},
              "[framing]");
    Framing framing;
    framing.length_at = place(from, "length_at");
    framing.length_bytes = field_size(from, "length_bytes", 4);
    framing.kind_at = place(from, "kind_at");
    framing.kind_bytes = field_size(from, "kind_bytes", 1);
    framing.id_at = place(from, "id_at");
    framing.id_bytes = field_size(from, "id_bytes", 4);
    if (const toml::node* node = from.get("length_adds")) {
      framing.length_adds = integer(*node, "length_adds");
    }
    const std::string order = required_string(from, "byte_order", "[framing]");
    framing.little_endian = order == "little";
    if (order != "little" && order != "big") {
      fail(from.get("byte_order"), "`byte_order` must be \"big\" or \"little\"");
    }
    framing.requests = kinds(from, "requests");
    framing.replies = kinds(from, "replies");
    for (const uint64_t kind : framing.requests) {
      if (framing.is_reply(kind)) {
        fail(from.get("replies"),
             "kind " + std::to_string(kind) + " is in `requests` and in `replies`");
      }
    }
    result_.map.framing = std::move(framing);
  }

  // Where a field begins in a message.
  uint32_t place(const toml::table& from, const char* key) {
    const toml::node* node = from.get(key);
    if (node == nullptr) fail(&from, std::string("`") + key + "` is missing in [framing]");
    const int64_t value = node != nullptr ? integer(*node, key) : 0;
    const int64_t most = Framing::kMostHeaderBytes - 8;
    if (value < 0 || value > most) {
      fail(node, std::string("`") + key + "` must be from 0 to " + std::to_string(most));
      return 0;
    }
    return static_cast<uint32_t>(value);
  }

  uint32_t field_size(const toml::table& from, const char* key, uint32_t absent) {
    const toml::node* node = from.get(key);
    if (node == nullptr) return absent;
    const int64_t value = integer(*node, key);
    if (value == 1 || value == 2 || value == 4 || value == 8) return static_cast<uint32_t>(value);
    fail(node, std::string("`") + key + "` must be 1, 2, 4 or 8");
    return absent;
  }

  std::vector<uint64_t> kinds(const toml::table& from, const char* key) {
    std::vector<uint64_t> result;
    const toml::node* node = from.get(key);
    const toml::array* array = node != nullptr ? node->as_array() : nullptr;
    if (array == nullptr || array->empty() || array->size() > kMaxEntries) {
      fail(node != nullptr ? node : &from, std::string("`") + key +
                                               "` of [framing] must be a list of integers");
      return result;
    }
    for (const toml::node& element : *array) {
      const int64_t kind = integer(element, key);
      if (kind < 0) fail(&element, std::string("`") + key + "` must not be negative");
      result.push_back(static_cast<uint64_t>(kind));
    }
    return result;
  }

  // `giop_s.request_id = 1` is a table in a table to TOML; to us a name with a dot.
  void read_offsets(const toml::table& offsets, const std::string& prefix) {
    for (const auto& [key, node] : offsets) {
      const std::string full = prefix + std::string(key.str());
      if (const toml::table* deeper = node.as_table()) {
        read_offsets(*deeper, full + ".");
      } else {
        result_.map.offsets.push_back({full, integer(node, full.c_str())});
      }
    }
  }

  static std::string unknown_role(const std::string& role) {
    std::string sentence = "\"" + role + "\" is not a role; the roles are";
    for (uint16_t index = 1; index < kRoleCount; ++index) {
      sentence += std::string(index > 1 ? ", " : " ") + role_name(static_cast<Role>(index));
    }
    return sentence;
  }

  void only_keys(const toml::table& from, std::initializer_list<const char*> known,
                 const char* where) {
    for (const auto& [key, node] : from) {
      bool found = false;
      for (const char* candidate : known) found = found || key.str() == candidate;
      if (!found) {
        fail_at(key.source().begin.line,
                "`" + std::string(key.str()) + "` is not a key of " + where);
      }
    }
  }

  bool boolean(const toml::table& from, const char* key) {
    const toml::node* node = from.get(key);
    if (node == nullptr) return false;
    if (!node->is_boolean()) fail(node, std::string("`") + key + "` must be true or false");
    return node->is_boolean() && **node->as_boolean();
  }

  int64_t integer(const toml::node& node, const char* key) {
    if (!node.is_integer()) fail(&node, std::string("`") + key + "` must be an integer");
    return node.is_integer() ? **node.as_integer() : 0;
  }

  std::string required_string(const toml::table& from, const char* key, const char* where) {
    const toml::node* node = from.get(key);
    if (node == nullptr) {
      fail(from.source().begin.line > 0 ? &from : nullptr,
           std::string("`") + key + "` is missing in " + where);
      return "";
    }
    return string(*node, key);
  }

  std::string string(const toml::node& node, const char* key) {
    const std::string value = node.is_string() ? **node.as_string() : std::string();
    if (value.empty()) fail(&node, std::string("`") + key + "` must be a string that is not empty");
    return value;
  }

  std::vector<std::string> strings(const toml::table& from, const char* key) {
    std::vector<std::string> result;
    const toml::node* node = from.get(key);
    if (node == nullptr) return result;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
      fail(node, std::string("`") + key + "` must be a list of strings");
      return result;
    }
    for (const toml::node& element : *array) result.push_back(string(element, key));
    return result;
  }

  const toml::table* table(const toml::table& from, const char* key) {
    const toml::node* node = from.get(key);
    if (node == nullptr) return nullptr;
    if (!node->is_table()) fail(node, std::string("`") + key + "` must be a table: [" + key + "]");
    return node->as_table();
  }

  template <typename Visit>
  void for_each_table(const toml::table& from, const char* key, Visit visit) {
    const toml::node* node = from.get(key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr || array->size() > kMaxEntries) {
      fail(node, std::string("`") + key + "` must be a list of tables: [[" + key + "]]");
      return;
    }
    for (const toml::node& element : *array) {
      if (const toml::table* entry = element.as_table()) {
        visit(*entry);
      } else {
        fail(&element, std::string("`") + key + "` must be a list of tables: [[" + key + "]]");
      }
    }
  }

  LoadedMap result_;
};

}  // namespace

LoadedMap parse_map(const std::string& text, const std::string& path) {
  const toml::parse_result parsed = toml::parse(text, path);
  Reader reader(path);
  if (!parsed) {
    reader.fail_at(parsed.error().source().begin.line, std::string(parsed.error().description()));
    return reader.failed();
  }
  return reader.read(parsed.table());
}

}  // namespace auxin::markers
