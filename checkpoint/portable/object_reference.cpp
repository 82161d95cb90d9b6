// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/portable/object_reference.h"

#include <algorithm>
#include <charconv>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>
#include <vector>

#include "checkpoint/portable/cdr_reader.h"

namespace auxin::checkpoint {
namespace {

constexpr uint32_t kInternetProfile = 0;
constexpr uint32_t kMostProfiles = 64;
constexpr uint64_t kMostTextBytes = 1 << 20;
constexpr uint16_t kUsualPort = 2809;  // of a corbaloc without one

std::optional<uint8_t> hexadecimal(std::string_view two) {
  uint8_t value = 0;
  const auto parsed = std::from_chars(two.data(), two.data() + two.size(), value, 16);
  if (two.size() != 2 || parsed.ec != std::errc() || parsed.ptr != two.data() + 2) return {};
  return value;
}

Error not_understood(const std::string& text, const char* why) {
  return Error{"'" + text.substr(0, 200) + "' is no reference of an object: " + why};
}

Result<ObjectReference> parse_location(const std::string& text) {
  std::string_view rest(text);
  rest.remove_prefix(std::strlen("corbaloc:"));
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos || slash + 1 == rest.size())
    return not_understood(text, "it names no key after a /");
  std::string_view address = rest.substr(0, slash);
  if (address.starts_with("iiop:")) {
    address.remove_prefix(5);
  } else if (address.starts_with(":")) {
    address.remove_prefix(1);
  } else {
    return not_understood(text, "only addresses of iiop are known");
  }
  if (const size_t at = address.find('@'); at != std::string_view::npos)
    address.remove_prefix(at + 1);
  ObjectReference reference;
  reference.port = kUsualPort;
  // The colons of an IPv6 address stand in brackets.
  const size_t bracket = address.starts_with("[") ? address.find(']') : 0;
  if (bracket == std::string_view::npos) return not_understood(text, "it has a [ without a ]");
  const size_t colon = address.find(':', bracket);
  if (bracket != 0 && bracket + 1 != std::min(colon, address.size()))
    return not_understood(text, "something stands between ] and port");
  if (colon != std::string_view::npos) {
    const std::string_view port = address.substr(colon + 1);
    const auto parsed = std::from_chars(port.data(), port.data() + port.size(), reference.port);
    if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size() || reference.port == 0)
      return not_understood(text, "its port is none");
    address = address.substr(0, colon);
  }
  if (bracket != 0) address = address.substr(1, bracket - 1);
  if (address.empty() || address.find(',') != std::string_view::npos)
    return not_understood(text, "it must have exactly one host");
  reference.host = address;
  const std::string_view key = rest.substr(slash + 1);
  for (size_t i = 0; i < key.size(); ++i) {
    if (key[i] != '%') {
      reference.key += key[i];
      continue;
    }
    const auto value = hexadecimal(key.substr(i + 1, 2));
    if (!value) return not_understood(text, "a % in its key is not followed by two digits");
    reference.key += static_cast<char>(*value);
    i += 2;
  }
  return reference;
}

Result<ObjectReference> parse_stringified(const std::string& text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 4; i < text.size(); i += 2) {
    const auto value = hexadecimal(std::string_view(text).substr(i, 2));
    if (!value) return not_understood(text, "it is not hexadecimal");
    bytes.push_back(*value);
  }
  if (bytes.empty()) return not_understood(text, "it is empty");
  return read_object_reference(bytes, 1, (bytes[0] & 1) != 0);
}

}  // namespace

Result<ObjectReference> read_object_reference(std::span<const uint8_t> message, uint64_t at,
                                              bool little_endian) {
  CdrReader reader(message, little_endian);
  reader.skip(at);
  reader.text();  // the type
  const uint32_t count = reader.four_octets();
  for (uint32_t i = 0; i < count && i < kMostProfiles && !reader.fault(); ++i) {
    const uint32_t tag = reader.four_octets();
    const auto profile = reader.octets();
    if (tag != kInternetProfile || profile.empty()) continue;
    CdrReader inner(profile, (profile[0] & 1) != 0);
    inner.skip(3);  // byte order and version
    ObjectReference reference;
    reference.host = inner.text();
    reference.port = inner.two_octets();
    const auto key = inner.octets();
    reference.key.assign(key.begin(), key.end());
    if (inner.fault() || reference.host.empty() || reference.port == 0 || reference.key.empty())
      return Error{"the reference of an object is damaged"};
    return reference;
  }
  return Error{reader.fault() ? "the reference of an object is damaged"
                              : "the reference of an object has no address of iiop"};
}

Result<ObjectReference> parse_object_reference(const std::string& text) {
  if (text.starts_with("corbaloc:")) return parse_location(text);
  if (text.starts_with("IOR:")) return parse_stringified(text);
  if (!text.starts_with("file:"))
    return not_understood(text, "it must begin with corbaloc:, IOR: or file:");
  const std::string path = text.substr(std::strlen("file:"));
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string line;
  if (!std::getline(file, line)) {
    const int error = errno != 0 ? errno : EIO;
    return Error{path + ": can't read the reference of an object: " + strerror(error)};
  }
  if (line.size() > kMostTextBytes || line.starts_with("file:"))
    return not_understood(line, "a file must hold a corbaloc or an IOR");
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  return parse_object_reference(line);
}

}  // namespace auxin::checkpoint
