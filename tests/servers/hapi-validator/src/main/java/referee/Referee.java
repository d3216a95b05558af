package referee;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationOptions;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.utilities.npm.NpmPackage;

/**
 * HAPI's instance validator as a process: one request per line on standard input, one answer per line on
 * standard output, no network.
 *
 * <p>Request: {"resource": {...}, "package": "6.1.0" or "" for R4 alone, "profile": canonical or ""}. Answer:
 * {"messages": [{"severity", "location", "message"}]}. Arguments: the folder of the US Core packages, then folders of
 * the terminology that the packages only point to.
 */
public final class Referee {
  private static final String[] KINDS = {"StructureDefinition", "ValueSet", "CodeSystem"};

  private final FhirContext context = FhirContext.forR4();
  private final ObjectMapper mapper = new ObjectMapper();
  private final Map<String, FhirValidator> validators = new HashMap<>();
  private final Path packages;
  private final List<Path> terminology;

  private Referee(Path packages, List<Path> terminology) {
    this.packages = packages;
    this.terminology = terminology;
  }

  public static void main(String[] arguments) throws IOException {
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    System.setOut(System.err); // whatever a library prints is no answer
    List<Path> folders = Arrays.stream(arguments).map(Path::of).toList();
    Referee referee = new Referee(folders.get(0), folders.subList(1, folders.size()));
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      answers.println(referee.answer(line));
    }
  }

  private String answer(String line) throws IOException {
    JsonNode request = mapper.readTree(line);
    FhirValidator validator = validator(request.path("package").asText());
    ValidationOptions options = new ValidationOptions().addProfileIfNotBlank(request.path("profile").asText());
    ObjectNode answer = mapper.createObjectNode();
    ArrayNode messages = answer.putArray("messages");
    String resource = request.path("resource").toString();
    for (SingleValidationMessage message : validator.validateWithResult(resource, options).getMessages()) {
      messages.addObject()
          .put("severity", message.getSeverity().getCode())
          .put("location", Objects.toString(message.getLocationString(), ""))
          .put("message", message.getMessage());
    }
    return mapper.writeValueAsString(answer);
  }

  private FhirValidator validator(String version) throws IOException {
    FhirValidator known = validators.get(version);
    if (known != null) {
      return known;
    }
    FhirInstanceValidator rules = new FhirInstanceValidator(support(version));
    FhirValidator made = context.newValidator().registerValidatorModule(rules);
    validators.put(version, made);
    return made;
  }

  private ValidationSupportChain support(String version) throws IOException {
    PrePopulatedValidationSupport own = new PrePopulatedValidationSupport(context);
    if (!version.isEmpty()) {
      for (Path folder : terminology) {
        loadFolder(own, folder);
      }
      loadPackage(own, packages.resolve("hl7.fhir.us.core-" + version + ".tgz"));
    }
    return new ValidationSupportChain(
        own,
        new DefaultProfileValidationSupport(context),
        new CommonCodeSystemsTerminologyService(context),
        new InMemoryTerminologyServerValidationSupport(context),
        new SnapshotGeneratingValidationSupport(context),
        new UnknownCodeSystemWarningValidationSupport(context));
  }

  private void loadPackage(PrePopulatedValidationSupport into, Path file) throws IOException {
    try (InputStream stream = Files.newInputStream(file)) {
      NpmPackage contents = NpmPackage.fromPackage(stream);
      for (String name : contents.listResources(KINDS)) {
        add(into, contents.loadResource(name));
      }
    }
  }

  private void loadFolder(PrePopulatedValidationSupport into, Path folder) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*.json")) {
      for (Path file : files) {
        add(into, Files.newInputStream(file));
      }
    }
  }

  private void add(PrePopulatedValidationSupport into, InputStream resource) throws IOException {
    try (InputStream stream = resource) {
      into.addResource(context.newJsonParser().parseResource(stream));
    }
  }
}
