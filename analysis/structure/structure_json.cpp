// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/structure_json.h"

#include <fmt/format.h>

namespace auxin::analysis {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;

Json json_of(const Place& place) { return {{"file", place.file}, {"line", place.line}}; }

// `it`: a member or a variable.
template <typename Object>
Json object_json(const Object& it) {
  Json json = {{"name", it.name}, {"type", it.type}, {"place", json_of(it.place)}};
  if (it.synchronisation != SynchronisationKind::kNone) {
    json["synchronisation"] = name_of(it.synchronisation);
  }
  return json;
}

Json function_json(const StructureFunction& it) {
  Json calls = Json::array(), mentions = Json::array();
  for (const StructureCall& call : it.calls) {
    calls.push_back({{"key", call.key}, {"line", call.line}, {"virtual", call.is_virtual}});
  }
  for (const StructureMention& mention : it.mentions) {
    mentions.push_back({{"object", mention.object}, {"line", mention.line}});
  }
  return {{"key", it.key},
          {"name", it.name},
          {"class", it.class_key},
          {"symbols", it.symbols},
          {"place", json_of(it.place)},
          {"virtual", it.is_virtual},
          {"constructor", it.is_constructor},
          {"overrides", it.overrides},
          {"calls", std::move(calls)},
          {"mentions", std::move(mentions)}};
}

// Throws what nlohmann's access throws where something is missing or of another type.
Place place_of(const Json& json) {
  return {json.at("file").get<std::string>(), json.at("line").get<uint32_t>()};
}

template <typename Object>
Object object_of(const Json& json) {
  Object it;
  it.name = json.at("name").get<std::string>();
  it.type = json.at("type").get<std::string>();
  it.place = place_of(json.at("place"));
  const std::string kind = json.value("synchronisation", "");
  if (!parse(kind, &it.synchronisation)) {
    throw std::invalid_argument(fmt::format("'{}' is no kind of synchronisation", kind));
  }
  return it;
}

StructureFunction function_of(const Json& json) {
  StructureFunction it;
  it.key = json.at("key").get<std::string>();
  it.name = json.at("name").get<std::string>();
  it.class_key = json.at("class").get<std::string>();
  it.symbols = json.at("symbols").get<std::vector<std::string>>();
  it.place = place_of(json.at("place"));
  it.is_virtual = json.at("virtual").get<bool>();
  it.is_constructor = json.at("constructor").get<bool>();
  it.overrides = json.at("overrides").get<std::vector<std::string>>();
  for (const Json& call : json.at("calls")) {
    it.calls.push_back({call.at("key").get<std::string>(), call.at("line").get<uint32_t>(),
                        call.at("virtual").get<bool>()});
  }
  for (const Json& mention : json.at("mentions")) {
    it.mentions.push_back(
        {mention.at("object").get<std::string>(), mention.at("line").get<uint32_t>()});
  }
  return it;
}

StructureClass class_of_json(const Json& json) {
  StructureClass it;
  it.key = json.at("key").get<std::string>();
  it.name = json.at("name").get<std::string>();
  it.place = place_of(json.at("place"));
  it.bases = json.at("bases").get<std::vector<std::string>>();
  for (const Json& member : json.at("members")) {
    it.members.push_back(object_of<StructureMember>(member));
  }
  return it;
}

}  // namespace

nlohmann::ordered_json to_json(const Structure& structure) {
  Json classes = Json::array(), functions = Json::array(), variables = Json::array(),
       failures = Json::array();
  for (const StructureClass& it : structure.classes) {
    Json members = Json::array();
    for (const StructureMember& member : it.members) members.push_back(object_json(member));
    classes.push_back({{"key", it.key},
                       {"name", it.name},
                       {"place", json_of(it.place)},
                       {"bases", it.bases},
                       {"members", std::move(members)}});
  }
  for (const StructureFunction& it : structure.functions) functions.push_back(function_json(it));
  for (const StructureVariable& it : structure.variables) variables.push_back(object_json(it));
  for (const StructureFailure& it : structure.failures) {
    failures.push_back({{"file", it.file}, {"reason", it.reason}});
  }
  return {{"schema", kSchema},
          {"units", structure.units},
          {"classes", std::move(classes)},
          {"functions", std::move(functions)},
          {"variables", std::move(variables)},
          {"failures", std::move(failures)},
          {"remarks", structure.remarks}};
}

Result<Structure> parse_structure(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    if (json.at("schema").get<int>() != kSchema) {
      return Error{fmt::format("schema {} is not known", json.at("schema").dump())};
    }
    Structure structure;
    structure.units = json.at("units").get<uint64_t>();
    for (const Json& it : json.at("classes")) structure.classes.push_back(class_of_json(it));
    for (const Json& it : json.at("functions")) structure.functions.push_back(function_of(it));
    for (const Json& it : json.at("variables")) {
      structure.variables.push_back(object_of<StructureVariable>(it));
    }
    for (const Json& it : json.at("failures")) {
      structure.failures.push_back(
          {it.at("file").get<std::string>(), it.at("reason").get<std::string>()});
    }
    structure.remarks = json.at("remarks").get<std::vector<std::string>>();
    return structure;
  } catch (const std::exception& wrong) {
    return Error{fmt::format("no structure of a translation unit: {}", wrong.what())};
  }
}

}  // namespace auxin::analysis
