// HAPI FHIR JPA (R4, H2 in memory) as an HIE on a port of loopback; it ends with its standard input.
package hie;

import ca.uhn.fhir.batch2.api.IJobMaintenanceService;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.mdm.provider.MdmProviderLoader;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

public final class Hie {

    public static void main(String[] arguments) throws Exception {
        var beans = new AnnotationConfigApplicationContext(Beans.class);
        var server = new Server();
        var connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(arguments[0]));
        server.addConnector(connector);
        var context = new ServletContextHandler("/");
        context.addServlet(new ServletHolder(fhir(beans)), "/fhir/*");
        server.setHandler(context);
        server.start();
        Executors.newSingleThreadScheduledExecutor().scheduleWithFixedDelay(
            () -> maintain(beans.getBean(IJobMaintenanceService.class)), 1, 1, TimeUnit.SECONDS);
        while (System.in.read() >= 0) {
            // Nobody says anything; the end of the input is the end of the test run.
        }
        System.exit(0);
    }

    // HAPI looks after its exports once a minute, which is long for a test.
    private static void maintain(IJobMaintenanceService jobs) {
        try {
            jobs.runMaintenancePass();
        } catch (RuntimeException error) {
            error.printStackTrace();
        }
    }

    private static RestfulServer fhir(ApplicationContext beans) {
        var systemDao = beans.getBean(IFhirSystemDao.class);
        var providers = beans.getBean(ResourceProviderFactory.class);
        beans.getBean(MdmProviderLoader.class).loadProvider();
        var fhir = new RestfulServer(systemDao.getContext());
        fhir.registerProviders(providers.createProviders());
        fhir.registerProvider(beans.getBean(IJpaSystemProvider.class));
        fhir.registerProvider(beans.getBean(BulkDataExportProvider.class));
        fhir.setServerConformanceProvider(new JpaCapabilityStatementProvider(
            fhir,
            systemDao,
            beans.getBean(JpaStorageSettings.class),
            beans.getBean(ISearchParamRegistry.class),
            beans.getBean(IValidationSupport.class)));
        fhir.setPagingProvider(beans.getBean(DatabaseBackedPagingProvider.class));
        fhir.setDefaultResponseEncoding(EncodingEnum.JSON);
        return fhir;
    }

    private Hie() {}
}
