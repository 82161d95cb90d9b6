// SPDX-License-Identifier: Apache-2.0
//
// One table of keys: it reads the file, refuses what it does not know and names what was meant.
#include "replication/supervisor/configuration.h"

#include <errno.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <numeric>
#include <optional>
#include <sstream>
#include <string_view>

#include "replication/supervisor/sentence.h"

// The same choices as in metamarkers/map_file.cpp: both stand in one program, and toml++'s inline
// functions differ with them.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ASSERT(expression) static_assert(true)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace auxin::supervisor {
namespace {

using replication::Compare;
using replication::Style;

constexpr int64_t kMaxWord = std::numeric_limits<int32_t>::max();

// What is wrong with a value, or nothing.
using Fault = std::optional<std::string>;

Fault take_text(const toml::node& node, std::string* out) {
  const auto text = node.value_exact<std::string>();
  if (!text) return "must be a string in quotes";
  if (text->find('\0') != std::string::npos) return "must not contain a NUL character";
  *out = *text;
  return {};
}

Fault take_number(const toml::node& node, int64_t least, int64_t most, uint32_t* out) {
  const auto number = node.value_exact<int64_t>();
  if (!number || *number < least || *number > most) {
    return fmt::format("must be a whole number from {} to {}", least, most);
  }
  *out = static_cast<uint32_t>(*number);
  return {};
}

Fault take_flag(const toml::node& node, bool* out) {
  const auto flag = node.value_exact<bool>();
  if (!flag) return "must be true or false";
  *out = *flag;
  return {};
}

// One of `choices`; the values are their indices.
Fault take_choice(const toml::node& node, std::initializer_list<std::string_view> choices,
                  int* out) {
  const auto text = node.value_exact<std::string>();
  int index = 0;
  std::string all;
  for (std::string_view choice : choices) {
    if (text && *text == choice) {
      *out = index;
      return {};
    }
    all += fmt::format("{}\"{}\"", index == 0 ? "" : ", ", choice);
    ++index;
  }
  return "must be one of " + all;
}

Fault take_size(const toml::node& node, uint64_t* out) {
  uint64_t size = 0;
  if (const auto number = node.value_exact<int64_t>(); number && *number > 0) {
    size = static_cast<uint64_t>(*number);
  } else if (const auto text = node.value_exact<std::string>();
             !text || !parse_size(*text, &size)) {
    return "must be a size such as 1073741824 or \"1GiB\"";
  }
  if (size < 4096 || (size & (size - 1)) != 0) return "must be a power of two, at least 4096";
  *out = size;
  return {};
}

Fault take_words(const toml::node& node, std::vector<std::string>* out) {
  const toml::array* array = node.as_array();
  if (array == nullptr || array->empty()) {
    return "must be an array of strings, the program first";
  }
  std::vector<std::string> words;
  for (const toml::node& element : *array) {
    std::string word;
    if (take_text(element, &word)) return "must be an array of strings, the program first";
    words.push_back(std::move(word));
  }
  *out = std::move(words);
  return {};
}

Fault take_references(const toml::node& node, std::vector<std::string>* out) {
  constexpr const char* kWhat = "must be an array of references, each a corbaloc:, IOR: or file:";
  const toml::array* array = node.as_array();
  if (array == nullptr) return kWhat;
  std::vector<std::string> references;
  for (const toml::node& element : *array) {
    std::string reference;
    if (take_text(element, &reference)) return kWhat;
    if (!reference.starts_with("corbaloc:") && !reference.starts_with("IOR:") &&
        !reference.starts_with("file:"))
      return kWhat;
    references.push_back(std::move(reference));
  }
  *out = std::move(references);
  return {};
}

struct Key {
  const char* table;  // "": top level
  const char* name;
  Fault (*take)(const toml::node&, Configuration&);
};

const Key kKeys[] = {
    {"", "name",
     [](const toml::node& node, Configuration& c) -> Fault {
       if (Fault fault = take_text(node, &c.name)) return fault;
       if (!valid_group_name(c.name)) {
         return "must have 1 to 63 characters out of A-Z a-z 0-9 . _ -";
       }
       return {};
     }},
    {"", "replicas",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_number(node, 1, replication::kMaxReplicas, &c.replicas);
     }},
    {"", "style",
     [](const toml::node& node, Configuration& c) -> Fault {
       int index = 0;
       Fault fault = take_choice(
           node, {"none", "semi-active", "warm-passive", "cold-passive"}, &index);
       if (!fault) c.style = static_cast<Style>(index);
       return fault;
     }},
    {"", "state_dir",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_text(node, &c.state_root);
     }},
    {"", "ready_file",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_text(node, &c.ready_file);
     }},
    {"", "server",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_words(node, &c.server);
     }},
    {"", "start",
     [](const toml::node& node, Configuration& c) -> Fault {
       int index = 0;
       Fault fault = take_choice(node, {"auto", "resume", "fresh"}, &index);
       if (!fault) c.start = static_cast<StartMode>(index);
       return fault;
     }},
    {"", "verbosity",
     [](const toml::node& node, Configuration& c) -> Fault {
       int index = 0;
       Fault fault = take_choice(node, {"quiet", "normal", "verbose"}, &index);
       if (!fault) c.verbosity = static_cast<Verbosity>(index);
       return fault;
     }},
    {"log", "entries",
     [](const toml::node& node, Configuration& c) -> Fault {
       const auto number = node.value_exact<int64_t>();
       if (!number || *number < 4096 || *number > (int64_t{1} << 32) ||
           (*number & (*number - 1)) != 0) {
         return "must be a power of two from 4096 to 4294967296";
       }
       c.log_entries = static_cast<uint64_t>(*number);
       return {};
     }},
    {"log", "payload",
     [](const toml::node& node, Configuration& c) -> Fault {
       Fault fault = take_size(node, &c.log_payload_bytes);
       if (!fault && c.log_payload_bytes > (uint64_t{1} << 40)) return "must be at most 1 TiB";
       return fault;
     }},
    {"follower", "spin_ns",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_number(node, 0, 1'000'000'000, &c.spin_ns);
     }},
    {"follower", "poll_us",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_number(node, 1, 1'000'000, &c.follower_poll_us);
     }},
    {"follower", "lag_bound_entries",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_number(node, 16, kMaxWord, &c.lag_bound_entries);
     }},
    {"follower", "stall_ms",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_number(node, 1, 3'600'000, &c.stall_ms);
     }},
    {"follower", "one_cpu",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_flag(node, &c.follower_one_cpu);
     }},
    {"leader", "hang_ms",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_number(node, 100, 3'600'000, &c.hang_ms);
     }},
    {"checkpoint", "every_s",
     [](const toml::node& node, Configuration& c) -> Fault {
       if (node.value_exact<std::string>() == "auto") {
         c.checkpoint_every_s = replication::kAutomaticInterval;
         return {};
       }
       if (take_number(node, 0, 31'536'000, &c.checkpoint_every_s))
         return "must be a whole number from 0 to 31536000, or \"auto\"";
       return {};
     }},
    {"checkpoint", "every_requests",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_number(node, 0, kMaxWord, &c.checkpoint_every_requests);
     }},
    {"checkpoint", "log_percent",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_number(node, 0, 50, &c.checkpoint_log_percent);
     }},
    {"checkpoint", "deltas",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_number(node, 0, 1000, &c.checkpoint_deltas);
     }},
    {"checkpoint", "method",
     [](const toml::node& node, Configuration& c) -> Fault {
       int index = 0;
       Fault fault = take_choice(node, {"automatic", "wp-async", "fork", "full"}, &index);
       using checkpoint::TrackingMethod;
       constexpr TrackingMethod kMethods[] = {TrackingMethod::kAutomatic, TrackingMethod::kWpAsync,
                                              TrackingMethod::kFork, TrackingMethod::kFull};
       if (!fault) c.checkpoint_method = kMethods[index];
       return fault;
     }},
    {"checkpoint", "objects",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_references(node, &c.objects);
     }},
    {"checkpoint", "portable_file",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_text(node, &c.portable_file);
     }},
    {"checkpoint", "portable_every_s",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_number(node, 0, 31'536'000, &c.portable_every_s);
     }},
    {"locks", "order",
     [](const toml::node& node, Configuration& c) -> Fault {
       int index = 0;
       Fault fault = take_choice(node, {"contention-points", "all"}, &index);
       if (!fault) c.order_every_lock = index == 1;
       return fault;
     }},
    {"replies", "compare",
     [](const toml::node& node, Configuration& c) -> Fault {
       int index = 0;
       Fault fault = take_choice(node, {"bytes", "length", "none"}, &index);
       if (!fault) c.compare = static_cast<Compare>(index);
       return fault;
     }},
    {"extension", "meta_object",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_text(node, &c.meta_object);
     }},
    {"maps", "directory",
     [](const toml::node& node, Configuration& c) -> Fault {
       return take_text(node, &c.map_directory);
     }},
};
constexpr const char* kEnvironmentTable = "environment";

// How many letters must change: for "did you mean".
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string full_name(std::string_view table, std::string_view name) {
  return table.empty() ? std::string(name) : fmt::format("{}.{}", table, name);
}

std::string unknown_key(std::string_view table, std::string_view name) {
  const std::string wrong = full_name(table, name);
  std::string best;
  size_t best_distance = std::max<size_t>(3, wrong.size() / 3) + 1;
  for (const Key& key : kKeys) {
    // A right name in the wrong table is the commonest slip of all.
    const std::string right = full_name(key.table, key.name);
    const size_t distance = name == key.name ? 0 : edit_distance(wrong, right);
    if (distance < best_distance) {
      best_distance = distance;
      best = right;
    }
  }
  return best.empty() ? fmt::format("unknown key '{}' (`auxin config --print-defaults` lists all)",
                                    wrong)
                      : fmt::format("unknown key '{}'; did you mean '{}'?", wrong, best);
}

Fault take_environment(const std::string& name, const toml::node& node, Configuration& c) {
  std::string value;
  if (Fault fault = take_text(node, &value)) return fault;
  if (name.empty() || name.find('=') != std::string::npos) return "is no name for a variable";
  if (name == "LD_PRELOAD" || name.starts_with("AUXIN_")) return "is set by Auxin itself";
  c.environment[name] = value;
  return {};
}

Error at_line(const std::string& path, const toml::node& node, const std::string& what) {
  return Error{fmt::format("{}:{}: {}", path, node.source().begin.line, what)};
}

// Reads one key; the sentence on what is wrong with it.
std::optional<Error> take_key(const std::string& path, std::string_view table_name,
                              const std::string& name, const toml::node& node,
                              Configuration& configuration) {
  Fault fault;
  if (table_name == kEnvironmentTable) {
    fault = take_environment(name, node, configuration);
  } else {
    const auto key = std::find_if(std::begin(kKeys), std::end(kKeys), [&](const Key& k) {
      return table_name == k.table && name == k.name;
    });
    if (key == std::end(kKeys)) return at_line(path, node, unknown_key(table_name, name));
    fault = key->take(node, configuration);
  }
  if (!fault) return {};
  return at_line(path, node, fmt::format("'{}' {}", full_name(table_name, name), *fault));
}

bool known_table(std::string_view name) {
  return name == kEnvironmentTable ||
         std::any_of(std::begin(kKeys), std::end(kKeys),
                     [&](const Key& k) { return *k.table != '\0' && name == k.table; });
}

}  // namespace

Result<Configuration> load_configuration(const std::string& path) {
  // Read here, not by toml++, which can't read from a pipe.
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream || stream.bad() || (text.fail() && errno != 0)) {
    return failed(path, "read the configuration", errno != 0 ? errno : EIO);
  }
  const toml::parse_result parsed = toml::parse(text.view(), path);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return Error{
        fmt::format("{}:{}: {}", path, error.source().begin.line, error.description())};
  }
  const toml::table& file = parsed.table();

  Configuration configuration;
  for (const auto& [top_name, top_node] : file) {
    const std::string top(top_name.str());
    const toml::table* table = top_node.as_table();
    if (table == nullptr || !known_table(top)) {
      if (auto error = take_key(path, "", top, top_node, configuration)) return *error;
      continue;
    }
    for (const auto& [name, node] : *table) {
      if (auto error = take_key(path, top, std::string(name.str()), node, configuration)) {
        return *error;
      }
    }
  }
  return configuration;
}

std::string default_configuration_text() {
  const Configuration d;
  return fmt::format(
      R"(# Configuration of an Auxin group, for `auxin run --config FILE`.
# Every key may be left out; options of the command line win over the file.
# Check a file with `auxin config --check FILE`.

# The group's name. Default: the server's file name.
# name = "bank"

# How many replicas (1 to {max_replicas}), and how they are kept alike:
# "semi-active" (the leader decides, the others follow), "warm-passive" (one executes, a backup
# holds its newest checkpoint in memory), "cold-passive" (backups are started from checkpoint and
# log when needed) or "none" (one supervised process).
replicas = {replicas}
style = "{style}"

# The program and its arguments, if they do not stand after -- on the command line.
# {{replica}} in an argument becomes the replica's number.
# server = ["./bank_server", "-ORBendPoint", "giop:tcp:127.0.0.1:5000"]

# Directory in which each group has a directory of its own. Default: $XDG_RUNTIME_DIR/auxin if that
# is on tmpfs, else /dev/shm/auxin-UID.
# state_dir = "/dev/shm/bank"

# Appears, with the supervisor's pid in it, once all replicas serve or follow.
# ready_file = "/run/user/1000/bank.ready"

# After an unclean end: "auto" (resume if there is something to resume), "resume" or "fresh".
start = "auto"

# What is told on standard error: "quiet", "normal" or "verbose".
verbosity = "normal"

[log]
# The size of the stable log. Default: 67108864 entries of 64 bytes and 4 GiB of payload, or as much
# as half of the free space of the state directory's file system holds. Powers of two.
# entries = 67108864
# payload = "4GiB"

[follower]
# A waiting follower spins this long before it sleeps.
spin_ns = {spin_ns}
# How often an idle follower looks at the log.
poll_us = {poll_us}
# A follower so many entries behind slows the leader down.
lag_bound_entries = {lag}
# A follower that has not moved for so long is no longer waited for.
stall_ms = {stall_ms}
# Followers keep to one CPU, at batch priority, until they are promoted.
one_cpu = {one_cpu}

[leader]
# A leader that gives no sign of life for so long is killed and replaced.
hang_ms = {hang_ms}

[checkpoint]
# A follower saves itself, and replicas that are started again begin from there: after so many
# seconds ("auto": as the cost of one and the failures seen so far suggest, by Daly's formula), so
# many requests, or when so much of the log's room has been used since the last one, whichever comes
# first. 0: not for this reason (every_s in a passive style: 5, if every_requests is 0 too).
# Without checkpoints a replica can join again only as long as the log reaches back to its start.
every_s = {every_s}
every_requests = {every_requests}
log_percent = {log_percent}
# A checkpoint holds what changed since the one before, up to so many times in a row, and as long as
# that is together less than half of a whole one, or 32 MiB; then it is whole again. 0: each one is
# whole.
deltas = {deltas}
# How the pages of an image are found and copied. "wp-async": what changed, while threads run (Linux
# 6.7); "fork": a forked child holds and writes the image; "full": all is copied while threads
# stand. "automatic": what AUXIN_CHECKPOINT_METHOD says, else wp-async where the kernel has it, else
# fork. A method that is named and does not work here is refused.
method = "automatic"
# Objects that implement FT::Checkpointable or FT::Updateable: a portable image holds the states
# that they give by their own methods, for another process, binary or host (`auxin run
# --state-from`). Each is a "corbaloc:…", an "IOR:…", or "file:…" with a file that holds one.
# objects = ["corbaloc::127.0.0.1:5000/Bank"]
# Where the portable image stands (default: in the group's directory, with which it goes), and how
# often it is taken. 0: only by `auxin checkpoint --portable`.
# portable_file = "/var/lib/bank.image"
portable_every_s = 0

[locks]
# "contention-points": what the join-point maps select. "all": every lock of every library, as a
# system must that knows nothing of what a lock is for; only to measure what that costs, with one
# replica.
order = "contention-points"

[replies]
# What followers compare of each reply: "bytes", "length" or "none".
compare = "bytes"

[extension]
# A shared object with a meta-object of your own (see <auxin/meta_request_lifecycle.h>).
# meta_object = "/usr/local/lib/my_meta_object.so"

[maps]
# Directory of the join-point maps. Default: where Auxin is installed.
# directory = "/usr/share/auxin/maps"

[environment]
# Variables set for the replicas; omniORB's parameters can be given here as ORBname = "value".
# ORBmaxServerThreadPerConnection = "100"
)",
      fmt::arg("max_replicas", replication::kMaxReplicas), fmt::arg("replicas", d.replicas),
      fmt::arg("style", style_name(d.style)), fmt::arg("spin_ns", d.spin_ns),
      fmt::arg("poll_us", d.follower_poll_us), fmt::arg("lag", d.lag_bound_entries),
      fmt::arg("stall_ms", d.stall_ms), fmt::arg("one_cpu", d.follower_one_cpu),
      fmt::arg("hang_ms", d.hang_ms), fmt::arg("every_s", d.checkpoint_every_s),
      fmt::arg("every_requests", d.checkpoint_every_requests),
      fmt::arg("log_percent", d.checkpoint_log_percent), fmt::arg("deltas", d.checkpoint_deltas));
}

bool parse_size(const std::string& text, uint64_t* bytes) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest == text.data()) return false;
  std::string_view unit(rest, static_cast<size_t>(end - rest));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  static constexpr std::pair<std::string_view, int> kUnits[] = {
      {"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
  for (const auto& [name, shift] : kUnits) {
    if (unit != name) continue;
    if (number == 0 || number > (std::numeric_limits<uint64_t>::max() >> shift)) return false;
    *bytes = number << shift;
    return true;
  }
  return false;
}

bool valid_group_name(const std::string& name) {
  static constexpr const char* kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !name.empty() && name.size() <= 63 && name != "." && name != ".." &&
         name.find_first_not_of(kAllowed) == std::string::npos;
}

bool parse_style(const std::string& text, replication::Style* style) {
  for (const Style candidate :
       {Style::kNone, Style::kSemiActive, Style::kWarmPassive, Style::kColdPassive}) {
    if (text != style_name(candidate)) continue;
    *style = candidate;
    return true;
  }
  return false;
}

const char* style_name(replication::Style style) {
  switch (style) {
    case Style::kNone: return "none";
    case Style::kSemiActive: return "semi-active";
    case Style::kWarmPassive: return "warm-passive";
    case Style::kColdPassive: return "cold-passive";
  }
  return "unknown";
}

}  // namespace auxin::supervisor
