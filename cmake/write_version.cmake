# Writes OUTPUT, a header with kVersion: VERSION, and the commit where SOURCE is a git checkout.
cmake_minimum_required(VERSION 3.25)
find_package(Git QUIET)
set(commit "")
if(GIT_FOUND AND EXISTS ${SOURCE}/.git)
  execute_process(COMMAND ${GIT_EXECUTABLE} describe --always --dirty --exclude=*
    WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(commit)
  set(VERSION "${VERSION} (${commit})")
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT "// Made by cmake/write_version.cmake.
#pragma once

namespace regatta {
inline constexpr const char* kVersion = \"${VERSION}\";
}  // namespace regatta
")
