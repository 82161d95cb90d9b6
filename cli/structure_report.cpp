// SPDX-License-Identifier: Apache-2.0
#include "cli/structure_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>

#include "analysis/structure/read_sources.h"
#include "cli/runs/run_messages.h"
#include "cli/runs/server_run.h"
#include "cli/text_table.h"

namespace auxin::cli {
namespace {

namespace fs = std::filesystem;
using analysis::Structure;
using analysis::StructureClass;
using analysis::SynchronisationKind;

constexpr const char* kReaderName = "auxin-structure";
constexpr size_t kMostFailures = 10, kMostClasses = 30, kMostFunctions = 3, kMostUnseen = 40;

// Beside the command in a build tree; installed among what users do not call.
std::string reader_path() {
  std::error_code error;
  const fs::path own = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path beside = own / kReaderName;
  if (fs::exists(beside, error)) return beside.string();
  return (own.parent_path() / AUXIN_LIBEXEC_DIRECTORY / "auxin" / kReaderName).string();
}

std::string last_part(const std::string& name) {
  const size_t colons = name.rfind("::");
  return colons == name.npos ? name : name.substr(colons + 2);
}

// "balance, deposit, withdraw and 4 more".
std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMostFunctions); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMostFunctions) {
    text += fmt::format(" and {} more", names.size() - kMostFunctions);
  }
  return text.empty() ? "-" : text;
}

std::string locks_text(const Structure& structure) {
  std::map<std::string, std::vector<std::string>> mentioned;
  for (const analysis::StructureFunction& function : structure.functions) {
    for (const analysis::StructureMention& mention : function.mentions) {
      mentioned[mention.object].push_back(last_part(function.name));
    }
  }
  TextTable table("lllll");
  table.add({"synchronisation object", "kind", "type", "declared", "mentioned in"});
  size_t rows = 0;
  const auto add = [&](const std::string& name, const auto& object) {
    if (object.synchronisation == SynchronisationKind::kNone) return;
    table.add({name, name_of(object.synchronisation), object.type, object.place.text(),
               some_of(mentioned[name])});
    ++rows;
  };
  for (const StructureClass& each : structure.classes) {
    for (const auto& member : each.members) add(each.name + "::" + member.name, member);
  }
  for (const auto& variable : structure.variables) add(variable.name, variable);
  return rows == 0 ? "  no synchronisation object is declared in these sources\n" : table.text();
}

std::string classes_text(const Structure& structure) {
  std::map<std::string, const StructureClass*> by_key;
  std::map<std::string, uint64_t> functions;
  for (const StructureClass& each : structure.classes) by_key.emplace(each.key, &each);
  for (const auto& function : structure.functions) ++functions[function.class_key];
  std::vector<const StructureClass*> order;
  for (const StructureClass& each : structure.classes) order.push_back(&each);
  std::stable_sort(order.begin(), order.end(), [&](const auto* left, const auto* right) {
    return functions[left->key] > functions[right->key];
  });
  TextTable table("lrrll");
  table.add({"class", "functions", "members", "declared", "derives from"});
  for (size_t i = 0; i < std::min(order.size(), kMostClasses); ++i) {
    const StructureClass& it = *order[i];
    std::string bases;
    for (const std::string& key : it.bases) {
      const auto base = by_key.find(key);
      if (base != by_key.end()) bases += (bases.empty() ? "" : ", ") + base->second->name;
    }
    table.add({it.name, grouped(functions[it.key]), grouped(it.members.size()), it.place.text(),
               bases});
  }
  std::string text = table.text();
  if (order.size() > kMostClasses) {
    text += fmt::format("  (the first {} of {}; --json has all)\n", kMostClasses, order.size());
  }
  return text;
}

}  // namespace

Result<Structure> structure_of(const std::string& database,
                               const std::vector<std::string>& under) {
  analysis::SourcesPlan plan;
  plan.database = database;
  plan.under = under;
  plan.reader = reader_path();
  plan.interrupted = [] { return InterruptNotice::interrupted(); };
  auto told = std::chrono::steady_clock::now();
  plan.progress = [&told](size_t done, size_t all) {
    const auto now = std::chrono::steady_clock::now();
    if (isatty(STDERR_FILENO) == 0 || now - told < std::chrono::seconds(2)) return;
    told = now;
    complain(fmt::format("{} of {} translation units read", done, all));
  };
  auto structure = analysis::read_sources(plan);
  if (!structure) return structure;
  for (const std::string& remark : structure->remarks) complain(remark);
  for (size_t i = 0; i < std::min(structure->failures.size(), kMostFailures); ++i) {
    complain(fmt::format("{}: {}", structure->failures[i].file, structure->failures[i].reason));
  }
  if (structure->failures.size() > kMostFailures) {
    complain(fmt::format("{} more translation units could not be read, or not wholly",
                         structure->failures.size() - kMostFailures));
  }
  return structure;
}

std::string to_text(const Structure& structure, const std::string& database) {
  std::string text = fmt::format("{}  {} translation units, {} classes, {} functions\n\n", database,
                                 grouped(structure.units), grouped(structure.classes.size()),
                                 grouped(structure.functions.size()));
  text += locks_text(structure);
  if (!structure.classes.empty()) text += "\n" + classes_text(structure);
  if (!structure.failures.empty()) {
    text += fmt::format("\n  not read, or not wholly: {} translation units\n",
                        grouped(structure.failures.size()));
  }
  return text;
}

std::string to_text(const analysis::StructureJoin& join) {
  const Structure& structure = *join.structure;
  std::string text =
      fmt::format("  sources: {} translation units; {} of {} functions were on a recorded call's "
                  "path\n",
                  grouped(structure.units), grouped(join.seen_functions()),
                  grouped(structure.functions.size()));
  if (!join.unseen_uses.empty()) {
    TextTable table("lll");
    table.add({"not seen in this run: a use of", "in", "at"});
    for (size_t i = 0; i < std::min(join.unseen_uses.size(), kMostUnseen); ++i) {
      const analysis::UnseenUse& use = join.unseen_uses[i];
      const analysis::StructureFunction& function = structure.functions[use.function];
      table.add({use.object, function.name,
                 analysis::Place{function.place.file, use.line}.text()});
    }
    text += "\n" + table.text();
    if (join.unseen_uses.size() > kMostUnseen) {
      text += fmt::format("  (the first {} of {}; --json has all)\n", kMostUnseen,
                          join.unseen_uses.size());
    }
  }
  if (!join.unseen_objects.empty()) {
    TextTable table("lll");
    table.add({"never seen: the object", "type", "declared"});
    for (const analysis::UnseenObject& object : join.unseen_objects) {
      table.add({object.name, object.type, object.place.text()});
    }
    text += "\n" + table.text();
  }
  if (join.unseen_uses.empty() && join.unseen_objects.empty()) {
    text += "  every use of a synchronisation object that these sources can come to was seen\n";
  }
  return text;
}

Json to_json(const analysis::StructureJoin& join) {
  const Structure& structure = *join.structure;
  const auto place = [](const analysis::Place& it) {
    return Json{{"file", it.file}, {"line", it.line}};
  };
  Json uses = Json::array(), objects = Json::array(), failures = Json::array();
  for (const analysis::UnseenUse& use : join.unseen_uses) {
    const analysis::StructureFunction& function = structure.functions[use.function];
    Json way = Json::array();
    for (const uint32_t caller : use.called_by) way.push_back(structure.functions[caller].name);
    uses.push_back({{"object", use.object},
                    {"function", function.name},
                    {"recorded", static_cast<bool>(join.seen[use.function])},
                    {"place", place({function.place.file, use.line})},
                    {"called_by", std::move(way)}});
  }
  for (const analysis::UnseenObject& object : join.unseen_objects) {
    objects.push_back(
        {{"name", object.name}, {"type", object.type}, {"place", place(object.place)}});
  }
  for (const analysis::StructureFailure& failure : structure.failures) {
    failures.push_back({{"file", failure.file}, {"reason", failure.reason}});
  }
  return {{"units", structure.units},
          {"functions", structure.functions.size()},
          {"recorded_functions", join.seen_functions()},
          {"unseen_uses", std::move(uses)},
          {"unseen_objects", std::move(objects)},
          {"failures", std::move(failures)}};
}

}  // namespace auxin::cli
