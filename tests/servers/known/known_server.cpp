// SPDX-License-Identifier: Apache-2.0
#include "known_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <iostream>
#include <string>

namespace known {
namespace {

// Who waits for the file sees all of it: it gets its name when it is complete.
bool write_whole(const std::string& path, const std::string& text) {
  std::string draft = path + ".XXXXXX";
  const int file = mkstemp(draft.data());
  if (file < 0) return false;
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(file);
  if (written && rename(draft.c_str(), path.c_str()) == 0) return true;
  unlink(draft.c_str());
  return false;
}

// The value after the option; "" if it is not there.
std::string value_of(int argc, char** argv, const char* option) {
  for (int i = 1; i + 1 < argc; ++i)
    if (strcmp(argv[i], option) == 0) return argv[i + 1];
  return "";
}

}  // namespace

Dump* dump_of(const std::vector<int64_t>& values) {
  const auto size_bytes = static_cast<CORBA::ULong>(values.size() * sizeof(int64_t));
  auto* const dump = new Dump;
  dump->length(size_bytes);
  if (size_bytes != 0) memcpy(dump->get_buffer(), values.data(), size_bytes);
  return dump;
}

void linger(CORBA::Long token) {
  const unsigned turns = static_cast<unsigned>(token) * 2654435761u >> 19;
  for (volatile unsigned turn = 0; turn < turns;) turn = turn + 1;
}

int serve(int argc, char** argv, Servant& servant) {
  const std::string ior_path = value_of(argc, argv, "--ior");
  if (ior_path.empty()) {
    std::cerr << argv[0] << ": --ior FILE is missing\n";
    return 2;
  }
  const char* options[][2] = {{"endPoint", "giop:tcp:127.0.0.1:"}, {nullptr, nullptr}};
  if (!value_of(argc, argv, "-ORBendPoint").empty()) options[0][0] = nullptr;
  try {
    const CORBA::ORB_var orb = CORBA::ORB_init(argc, argv, "omniORB4", options);
    const CORBA::Object_var root = orb->resolve_initial_references("RootPOA");
    const PortableServer::POA_var poa = PortableServer::POA::_narrow(root);
    const PortableServer::ObjectId_var id = poa->activate_object(&servant);
    const CORBA::Object_var object = poa->id_to_reference(id);
    const PortableServer::POAManager_var manager = poa->the_POAManager();
    manager->activate();
    const CORBA::String_var ior = orb->object_to_string(object);
    if (!write_whole(ior_path, std::string(ior) + "\n")) {
      perror(ior_path.c_str());
      return 1;
    }
    orb->run();
    return 0;
  } catch (const CORBA::Exception& exception) {
    std::cerr << argv[0] << ": " << exception._name() << '\n';
    return 1;
  }
}

}  // namespace known
