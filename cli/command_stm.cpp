// SPDX-License-Identifier: Apache-2.0
//
// auxin stm: makes a stable memory file, says what is in it, and whether it is sound.
// Exit status: 0 sound, 1 damage found (mended or not), 2 refused.
#include <fmt/format.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "auxin/stm_types.h"
#include "cli/command.h"
#include "cli/entity_report.h"
#include "cli/log_report.h"
#include "stmemu/isolated/controller.h"
#include "stmemu/transaction/recovery.h"
#include "stmemu/transaction/survey.h"

namespace auxin::cli {
namespace {

using Json = nlohmann::ordered_json;
using stm::PhysicalMemory;

constexpr int kStmSchema = 1;

struct Options {
  std::string file;
  uint64_t size_bytes = uint64_t{64} << 20;
  std::string mode = "checked";
  std::string durability = "process";
  bool json = false, repair = false, adopt = false, spin = false;
  std::string object;
};

// Names in a memory are bytes, and need not be text.
int print_json(const Json& json) {
  return print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

const char* verdict_name(stm::Verdict verdict) {
  switch (verdict) {
    case stm::Verdict::kSound: return "sound";
    case stm::Verdict::kOneBad: return "one copy bad";
    case stm::Verdict::kLost: return "lost";
    case stm::Verdict::kInFlight: return "in flight";
  }
  return "unknown";
}

int create(const Options& options) {
  stm::CreateOptions how;
  how.bank_size_bytes = options.size_bytes;
  how.mode = options.mode == "window"     ? stm::Mode::kWindow
             : options.mode == "isolated" ? stm::Mode::kIsolated
                                          : stm::Mode::kChecked;
  how.durability =
      options.durability == "power" ? stm::Durability::kPower : stm::Durability::kProcess;
  const Result<bool> created = stm::create_memory(options.file, how);
  if (!created) return refuse(created.error());
  return print(fmt::format("{}: two banks of {}, mode {}, survives {}\n", options.file,
                           size_text(stm::whole_pages(options.size_bytes) * stm::kPageBytes),
                           options.mode,
                           how.durability == stm::Durability::kPower
                               ? "power failures"
                               : "the death of any process"));
}

Json identity_json(const PhysicalMemory& memory) {
  return {{"schema", kStmSchema},
          {"file", memory.path()},
          {"format", memory.superblock().format_version},
          {"mode", stm::name_of(memory.mode())},
          {"durability", stm::name_of(memory.durability())},
          {"bank_size_bytes", memory.bank_bytes()},
          {"bank_offsets", {0, memory.bank_bytes()}},
          {"file_size_bytes", memory.identity().file_size_bytes},
          {"in_use", memory.in_use()}};
}

void add_survey(const stm::Survey& survey, Json* json) {
  json->update({{"objects", survey.objects},
                {"object_bytes", survey.object_bytes},
                {"own_objects", survey.own_objects},
                {"descriptors", survey.descriptors},
                {"free_bytes", survey.free_pages * stm::kPageBytes},
                {"largest_free_bytes", survey.largest_free_run * stm::kPageBytes},
                {"transactions_in_flight", survey.in_flight},
                {"objects_in_flight", survey.in_flight_objects},
                {"damaged", survey.damaged},
                {"lost", survey.lost},
                {"damage", survey.damage}});
}

std::string in_flight_text(const PhysicalMemory& memory, const stm::Survey& survey) {
  if (survey.in_flight == 0) return "none";
  return fmt::format("{}, with {}{}", survey.in_flight,
                     count_of(survey.in_flight_objects, "object"),
                     memory.in_use() ? "" : " (left by a crash; the next program to open it ends "
                                            "them)");
}

uint64_t address_of(const stm::NamedReference& root) {
  return root.reference & 0xffff'ffff'ffff;
}

std::vector<stm::NamedReference> roots_of(PhysicalMemory& memory) {
  std::vector<stm::NamedReference> roots = stm::catalogue_entries(memory);
  std::erase_if(roots, [](const stm::NamedReference& named) { return named.space != 0; });
  return roots;
}

int info(const Options& options) {
  PhysicalMemory memory;
  const Result<bool> mapped = memory.map(options.file, PhysicalMemory::Access::kRead, {true});
  if (!mapped) return refuse(mapped.error());
  stm::EntitySurveyor surveyor(memory);
  const stm::Survey survey = stm::survey(
      memory, [&](const stm::ObjectSurvey& object) { surveyor.see(object); });
  const stm::EntitySurvey entities = surveyor.tell();
  const LogReport log = report_log(memory);
  const std::vector<stm::NamedReference> roots = roots_of(memory);
  if (options.json) {
    Json json = identity_json(memory);
    add_survey(survey, &json);
    json["roots"] = Json::array();
    for (const stm::NamedReference& root : roots) {
      json["roots"].push_back({{"name", root.name}, {"address", address_of(root)}});
    }
    add_entities(entities, &json);
    add_log(log, &json);
    return print_json(json);
  }
  std::string text = fmt::format(
      "file            {}\n"
      "format          version {}\n"
      "mode            {}\n"
      "survives        {}\n"
      "banks           2 of {}\n"
      "in use          {}\n"
      "objects         {}, {}\n"
      "free            {} (largest run {})\n"
      "in flight       {}\n"
      "damage          {}\n",
      memory.path(), memory.superblock().format_version, stm::name_of(memory.mode()),
      memory.durability() == stm::Durability::kPower ? "power failures"
                                                     : "the death of any process",
      size_text(memory.bank_bytes()),
      memory.in_use() ? "yes"
      : log.log       ? "its banks are not; auxin status tells of the group"
                      : "no",
      survey.objects,
      size_text(survey.object_bytes), size_text(survey.free_pages * stm::kPageBytes),
      size_text(survey.largest_free_run * stm::kPageBytes), in_flight_text(memory, survey),
      survey.damaged + survey.lost == 0 && log.damage.empty()
          ? "none"
          : fmt::format("{} (auxin stm check tells more)",
                        count_of(survey.damaged + survey.lost + !log.damage.empty(), "record")));
  if (log.log) text += fmt::format("log             {}\n", log_text(*log.log));
  for (const stm::NamedReference& root : roots) {
    text += fmt::format("root            {} -> {:#x}\n", printable(root.name), address_of(root));
  }
  return print(text + to_text(entities));
}

// What is cut off, if anything. Such a memory can't be looked at whole, only mended.
std::string truncation(const Options& options) {
  const Result<stm::Identity> identity = PhysicalMemory::identify(options.file, true);
  if (!identity || !identity.value().truncated) return {};
  return identity.value().file_size_bytes < 2 * identity.value().superblock.bank_size_bytes
             ? "the second bank is cut off"
             : "the file's end is cut off";
}

int report_check(const Options& options, Json json, const std::vector<std::string>& found,
                 uint64_t damaged, uint64_t lost, bool repaired, const LogReport& log = {}) {
  const bool sound = damaged + lost == 0 && log.damage.empty();
  if (options.json) {
    add_log(log, &json);
    json["sound"] = sound;
    json["repaired"] = repaired;
    const int printed = print_json(json);
    if (printed != kDone) return printed;
  } else {
    std::string text;
    for (const std::string& sentence : found) text += fmt::format("  {}\n", sentence);
    if (!log.damage.empty()) {
      text += fmt::format("  {}\n{}: the group's log is damaged, and there is one copy of it; the "
                          "group can only be started anew (auxin run --fresh)\n",
                          log.damage, options.file);
    }
    if (sound) {
      text += fmt::format("{}: sound\n", options.file);
    } else if (lost > 0) {
      text += fmt::format("{}: {} damaged in both banks and lost{}\n", options.file,
                          count_of(lost, "record"),
                          damaged > 0 ? fmt::format(", {} {}", damaged,
                                                    repaired ? "repaired" : "damaged in one bank")
                                      : "");
    } else if (damaged > 0) {
      text += fmt::format("{}: {} damaged in one bank{}\n", options.file,
                          count_of(damaged, "record"),
                          repaired ? ", repaired from the other"
                                   : "; auxin stm check --repair mends it from the other");
    }
    const int printed = print(text);
    if (printed != kDone) return printed;
  }
  return sound ? kDone : kFailed;
}

int check(const Options& options) {
  if (!options.repair && !options.adopt) {
    if (const std::string what = truncation(options); !what.empty()) {
      return report_check(options, {{"schema", kStmSchema}, {"file", options.file},
                                    {"damaged", 1}, {"lost", 0}, {"damage", {what}}},
                          {what}, 1, 0, false);
    }
    PhysicalMemory memory;
    const Result<bool> mapped = memory.map(options.file, PhysicalMemory::Access::kRead, {true});
    if (!mapped) return refuse(mapped.error());
    const stm::Survey survey = stm::survey(memory);
    Json json = identity_json(memory);
    add_survey(survey, &json);
    return report_check(options, std::move(json), survey.damage, survey.damaged, survey.lost,
                        false, report_log(memory));
  }
  PhysicalMemory memory;
  stm::AttachOptions how;
  how.any_machine = options.adopt;
  how.every_object = true;
  how.controller = true;  // an isolated memory is mended by whoever could be its controller
  Result<stm::Findings> findings = stm::attach(memory, options.file, how);
  if (!findings) return refuse(findings.error());
  if (!memory.alone()) {
    return refuse(options.file + ": in use; what its programs open is mended as they go, a repair "
                                 "of everything needs it alone");
  }
  if (options.adopt) memory.adopt();
  Json json = identity_json(memory);
  json.update({{"damaged", findings->repaired}, {"lost", findings->lost},
               {"transactions_undone", findings->undone},
               {"transactions_completed", findings->redone}, {"damage", findings->details}});
  return report_check(options, std::move(json), findings->details, findings->repaired,
                      findings->lost, true, report_log(memory));
}

std::string hex_dump(const char* bytes, uint64_t size_bytes) {
  constexpr uint64_t kRow = 16;
  std::string text;
  for (uint64_t at = 0; at < size_bytes; at += kRow) {
    text += fmt::format("    {:08x} ", at);
    std::string letters;
    for (uint64_t column = 0; column < kRow; ++column) {
      if (at + column >= size_bytes) {
        text += "   ";
        continue;
      }
      const auto byte = static_cast<unsigned char>(bytes[at + column]);
      text += fmt::format(" {:02x}", byte);
      letters += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
    }
    text += "  " + letters + "\n";
  }
  return text;
}

int dump(const Options& options) {
  PhysicalMemory memory;
  const Result<bool> mapped = memory.map(options.file, PhysicalMemory::Access::kRead, {true});
  if (!mapped) return refuse(mapped.error());
  uint64_t wanted = 0;
  if (!options.object.empty()) {
    size_t used = 0;
    try {
      wanted = std::stoull(options.object, &used, 0);
    } catch (const std::exception&) {
    }
    if (used != options.object.size()) {
      return refuse("'" + options.object + "' is not an address (a number, 0x… for hexadecimal)");
    }
  }
  std::map<uint64_t, std::string> names;
  for (const stm::NamedReference& root : roots_of(memory)) names[address_of(root)] = root.name;
  Json list = Json::array();
  std::string text = fmt::format("{:>12}  {:>10}  {:>10}  {:>8}  {:<22}  {:<12}  {}\n", "address",
                                 "size", "type", "version", "kind", "state", "root");
  bool found = wanted == 0;
  const stm::Survey survey = stm::survey(memory, [&](const stm::ObjectSurvey& object) {
    if (wanted != 0 && object.place.contents != wanted) return;
    found = true;
    const auto name = names.find(object.place.contents);
    const bool good = object.verdict != stm::Verdict::kLost;
    const char* const part =
        good ? part_name(object.header.kind(), object.header.type()) : "unknown";
    if (options.json) {
      Json row = {{"address", object.place.contents},
                  {"header", object.place.header},
                  {"size_bytes", object.header.size_bytes()},
                  {"type", object.header.type()},
                  {"version", object.header.version},
                  {"life", object.header.life()},
                  {"kind", good ? kind_name(object.header.kind()) : "unknown"},
                  {"part", part},
                  {"state", verdict_name(object.verdict)}};
      if (name != names.end()) row["root"] = name->second;
      list.push_back(std::move(row));
      return;
    }
    text += fmt::format("{:#12x}  {:>10}  {:#10x}  {:>8}  {:<22}  {:<12}  {}\n",
                        object.place.contents, object.header.size_bytes(), object.header.type(),
                        object.header.version, part,
                        verdict_name(object.verdict),
                        name != names.end() ? printable(name->second) : "");
    if (wanted != 0 && good) {
      stm::ObjectHeader header;
      const stm::Bank& bank =
          good_copy(memory, memory.banks().a, object.place, &header) ? memory.banks().a
                                                                     : memory.banks().b;
      text += hex_dump(bank.at(object.place.contents), object.header.size_bytes());
    }
  });
  if (!found) {
    return refuse(fmt::format("{}: no object begins at {}", options.file, options.object));
  }
  const int printed = options.json
                          ? print_json(Json{{"schema", kStmSchema}, {"objects", list}})
                          : print(text);
  if (printed != kDone) return printed;
  return survey.damaged + survey.lost == 0 ? kDone : kFailed;
}

stm::Controller* serving = nullptr;

void stop_serving(int) { serving->stop(); }

int serve(const Options& options) {
  stm::ControllerOptions how;
  how.spin = options.spin;
  Result<std::unique_ptr<stm::Controller>> controller =
      stm::Controller::make(options.file, how);
  if (!controller) return refuse(controller.error());
  serving = controller.value().get();
  struct sigaction action = {};
  action.sa_handler = stop_serving;
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaction(number, &action, nullptr);
  for (const std::string& sentence : serving->findings().details) {
    fmt::print(stderr, "auxin: {}: {}\n", options.file, sentence);
  }
  const int printed = print(fmt::format("{}: serving (pid {})\n", options.file, getpid()));
  if (printed != kDone) return printed;
  fflush(stdout);
  serving->run();
  return kDone;
}

CLI::App* add_part(CLI::App* stm, const char* name, const char* what,
                   const std::shared_ptr<Options>& options, Action* action,
                   int (*run)(const Options&)) {
  CLI::App* part = stm->add_subcommand(name, what);
  part->add_option("FILE", options->file, "The memory file")->required();
  part->callback([=] { *action = [=] { return run(*options); }; });
  return part;
}

}  // namespace

void add_stm_command(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("stm", "Make, describe and check a stable memory file");
  command->require_subcommand(1);

  CLI::App* part = add_part(command, "create", "Make a memory file", options, action, create);
  part->add_option("--size", options->size_bytes,
                   "Size of each of the two banks, e.g. 256M (default 64M)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE");
  part->add_option("--mode", options->mode,
                   "How objects that are not open are protected (default checked)")
      ->check(CLI::IsMember({"checked", "window", "isolated"}));
  part->add_option("--durability", options->durability,
                   "What a commit survives: the death of any process, or a power failure too")
      ->check(CLI::IsMember({"process", "power"}));

  part = add_part(command, "info", "Say what is in it", options, action, info);
  part->add_flag("--json", options->json, "As JSON");

  part = add_part(command, "check",
                  "Say whether it is sound (exit status 0), or damaged (1), or can't be used (2)",
                  options, action, check);
  part->add_flag("--json", options->json, "As JSON");
  part->add_flag("--repair", options->repair, "Mend what one bank still knows");
  part->add_flag("--adopt", options->adopt, "Take over a file that another machine made");

  part = add_part(command, "serve", "Be the controller of an isolated memory, until a signal",
                  options, action, serve);
  part->add_flag("--spin", options->spin,
                 "Never sleep: the shortest commits, for a whole processor");

  part = add_part(command, "dump", "List its objects", options, action, dump);
  part->add_flag("--json", options->json, "As JSON");
  part->add_option("--object", options->object, "Only the object at this address, with its bytes")
      ->type_name("ADDRESS");
}

}  // namespace auxin::cli
