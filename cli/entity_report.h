// SPDX-License-Identifier: Apache-2.0
//
// The stable entities of a memory, as `auxin stm` shows them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "stmemu/entities/entity_survey.h"

namespace auxin::cli {

// What an object is ("port"), and, of one that an entity is made of, which part ("port head").
const char* kind_name(stm::ObjectKind kind);
const char* part_name(stm::ObjectKind kind, uint32_t type);

// A line each, as `auxin stm info` has them.
std::string to_text(const stm::EntitySurvey& survey);
// Adds the arrays memory_objects, ports, tasks, links.
void add_entities(const stm::EntitySurvey& survey, nlohmann::ordered_json* json);

// "1 message", "2 messages".
std::string count_of(uint64_t count, const char* one);
std::string size_text(uint64_t bytes);
// A name from a file, safe to show: control characters as \xNN.
std::string printable(const std::string& name);

}  // namespace auxin::cli
