// SPDX-License-Identifier: Apache-2.0
//
// The bank's server process.
//
//     bank_server [--ior-file FILE] [-ORB...]
//
// Listens on a free port of 127.0.0.1 unless -ORBendPoint says otherwise, prints one line with the
// Teller's address when it is ready, and ends with status 0 on SIGTERM or SIGINT.
#include <pthread.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

#include "teller.h"

#include <omniORB4/omniIOR.h>

namespace {

constexpr char kObjectKey[] = "Bank";

// "127.0.0.1:4711", where the reference says that its object is.
std::string address_of(CORBA::Object_ptr object) {
  const omniIOR_var ior = object->_PR_getobj()->_getIOR();
  const omni::giopAddressList& addresses = ior->getIORInfo()->addresses();
  if (addresses.empty()) throw std::runtime_error("the Teller's reference has no address");
  const std::string address = addresses[0]->address();  // giop:tcp:HOST:PORT
  return address.substr(address.find(':', address.find(':') + 1) + 1);
}

// Readers see the whole reference or no file.
void write_reference(const std::string& path, const char* reference) {
  const std::string unfinished = path + ".new";
  std::ofstream file(unfinished);
  file << reference << '\n';
  file.close();
  if (!file || std::rename(unfinished.c_str(), path.c_str()) != 0) {
    throw std::runtime_error("cannot write " + path + ": " + std::strerror(errno));
  }
}

bool is_given(const char* name, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == std::string("-ORB") + name) return true;
  }
  return std::getenv((std::string("ORB") + name).c_str()) != nullptr;
}

CORBA::ORB_ptr start_orb(int& argc, char** argv) {
  const char* maximum_only[][2] = {{"giopMaxMsgSize", "67108864"}, {nullptr, nullptr}};
  const char* with_end_point[][2] = {
      {"giopMaxMsgSize", "67108864"}, {"endPoint", "giop:tcp:127.0.0.1:"}, {nullptr, nullptr}};
  return CORBA::ORB_init(argc, argv, "",
                         is_given("endPoint", argc, argv) ? maximum_only : with_end_point);
}

void serve(int argc, char** argv) {
  // Before the first thread, so that only the thread below ever gets these signals.
  sigset_t end_signals;
  sigemptyset(&end_signals);
  sigaddset(&end_signals, SIGTERM);
  sigaddset(&end_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &end_signals, nullptr);

  const CORBA::ORB_var orb = start_orb(argc, argv);
  std::string ior_file;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--ior-file" && i + 1 < argc) {
      ior_file = argv[++i];
    } else {
      throw std::invalid_argument(std::string("unknown argument ") + argv[i]);
    }
  }

  CORBA::Object_var object = orb->resolve_initial_references("RootPOA");
  const PortableServer::POA_var root_poa = PortableServer::POA::_narrow(object);
  // Objects in this POA are reached by corbaloc with their object id alone.
  object = orb->resolve_initial_references("omniINSPOA");
  const PortableServer::POA_var named_poa = PortableServer::POA::_narrow(object);

  const PortableServer::Servant_var<bank::TellerServant> teller =
      new bank::TellerServant(root_poa);
  const PortableServer::ObjectId_var id = PortableServer::string_to_ObjectId(kObjectKey);
  named_poa->activate_object_with_id(id, teller);
  const CORBA::Object_var reference = named_poa->id_to_reference(id);

  PortableServer::POAManager_var manager = root_poa->the_POAManager();
  manager->activate();
  manager = named_poa->the_POAManager();
  manager->activate();

  if (!ior_file.empty()) {
    const CORBA::String_var text = orb->object_to_string(reference);
    write_reference(ior_file, text);
  }
  std::thread signal_thread([&] {
    int signal_number = 0;
    sigwait(&end_signals, &signal_number);
    orb->shutdown(false);
  });
  std::cout << "bank_server ready: corbaloc::1.2@" << address_of(reference) << '/' << kObjectKey
            << std::endl;
  orb->run();
  signal_thread.join();
  orb->destroy();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    serve(argc, argv);
    return 0;
  } catch (const CORBA::Exception& e) {
    std::cerr << "bank_server: " << e._name() << '\n';
  } catch (const std::exception& e) {
    std::cerr << "bank_server: " << e.what() << '\n';
  }
  return 1;
}
