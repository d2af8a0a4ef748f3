# Targets `format` (rewrites the sources) and `tidy` (clang-tidy over everything that was configured; minutes).
find_program(REGATTA_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(REGATTA_PYTHON)
  add_custom_target(format
    COMMAND ${REGATTA_PYTHON} ${PROJECT_SOURCE_DIR}/tests/tidy/format.py ${PROJECT_SOURCE_DIR} --fix VERBATIM)
endif()

find_program(RUN_CLANG_TIDY NAMES run-clang-tidy run-clang-tidy-14)
if(RUN_CLANG_TIDY)
  add_custom_target(tidy
    COMMAND ${RUN_CLANG_TIDY} -quiet -extra-arg=-Wno-unknown-warning-option -p ${PROJECT_BINARY_DIR} "^${PROJECT_SOURCE_DIR}/(?!build)" VERBATIM USES_TERMINAL)
endif()
